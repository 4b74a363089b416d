#!/usr/bin/env python3
"""Two sidecars in mode full, each with a directory of its own: the holder of the lease is stopped in the midst of its
work, the other one takes over, the old holder wakes up with what it was about to write. None of that may land in
MongoDB; the Typesense that both of them feed (a standalone Tailfin) has what MongoDB means a minute later."""
import random
import signal
import threading
import time

import seventv
from seventv_values import date, ulid
from tailfin import ROOT, Mongo, Scratch, Tailfin, check, main, scale, seed

LONG_AGO = date(0)


def lease_of(server):
    return server.ask('GET', '/admin/status')[1]['source'].get('lease')


def await_lease(server, state, timeout):
    end = time.monotonic() + timeout
    while lease_of(server) != state:
        check(time.monotonic() < end, f'the lease is {lease_of(server)}, not {state}, after {timeout} s')
        time.sleep(.1)


def epoch(shell):
    documents = shell.find('tailfin_lease')
    return documents[0]['epoch'] if documents else 0


def unmarked(shell, kind):
    return [ulid(d['_id']) for d in shell.each(kind, {'search_updated_at': 1}) if not d.get('search_updated_at')]


def await_marked(shell, kind, timeout):
    end = time.monotonic() + timeout
    while left := unmarked(shell, kind):
        check(time.monotonic() < end, f'{len(left)} {kind} stay unmarked')
        time.sleep(.1)


def touch_all(shell):
    """As the cron job does: every emote is asked for again. updated_at does not move, so that a late write's guard
    would let it pass: only the lease stands in its way."""
    shell.run({'update': 'emotes', 'updates': [
        {'q': {}, 'u': {'$inc': {'scores.top_daily': 1}, '$set': {'search_updated_at': None, 'updated_at': LONG_AGO}},
         'multi': True}]})


def run(program):
    rng = seed()
    pause_s = scale('TAILFIN_PAUSE_S', 14)  # the lease dies after 10
    with Scratch() as scratch, Mongo(scratch + '/mongodb') as mongo:
        shell = seventv.Shell(ROOT, mongo.uri, 'journey')
        application = seventv.Application(shell, random.Random(rng.random()))
        application.fill(2000)
        target = Tailfin(program, scratch + '/target')
        target.start()
        feeding = ('--backend', 'both', '--typesense-url', f'http://127.0.0.1:{target.port}', '--typesense-api-key', target.key)
        holder, other = (Tailfin(program, f'{scratch}/{name}', '--mongodb-uri', mongo.uri, '--writeback', 'full', *feeding)
                         for name in ('first', 'second'))
        holder.start()
        await_lease(holder, 'holder', 30)
        await_marked(shell, 'emotes', 60)
        other.start()
        await_lease(other, 'standby', 30)

        # Stopped while it writes: something is in its queue, and a transaction may be open.
        before = epoch(shell)
        touch_all(shell)
        time.sleep(rng.uniform(0, .3))
        holder.process.send_signal(signal.SIGSTOP)
        pausing = threading.Timer(pause_s, lambda: holder.process.send_signal(signal.SIGCONT))
        pausing.start()
        await_lease(other, 'holder', pause_s)
        check(epoch(shell) > before, 'the epoch did not move')
        await_marked(shell, 'emotes', 60)
        # From now on a mark can only be the old holder's: nobody else has a reason to write.
        other.process.send_signal(signal.SIGSTOP)
        shell.run({'update': 'emotes', 'updates': [
            {'q': {}, 'u': {'$set': {'search_updated_at': None, 'updated_at': LONG_AGO}}, 'multi': True}]})
        pausing.join()
        time.sleep(3)  # TTL is 10 s: it cannot have got the lease back
        taken = epoch(shell)
        marked = shell.run({'count': 'emotes', 'query': {'search_updated_at': {'$ne': None}}})['n']
        check(marked == 0, f'{marked} writes of the old holder landed')
        check(taken == before + 1, f'the epoch is {taken}, it was {before}')
        check(lease_of(holder) in ('standby', 'watching'), f'the old holder calls itself {lease_of(holder)}')
        other.process.send_signal(signal.SIGCONT)
        begin = time.monotonic()
        left = seventv.settle(target, shell, 60, with_edges=False)
        check(not left, f'{len(left)} differences in the target: ' + '\n'.join(left[:5]))
        converged_s = time.monotonic() - begin
        await_marked(shell, 'emotes', 60)
        for server in (holder, other):
            left = seventv.settle(server, shell)
            check(not left, f'{len(left)} differences: ' + '\n'.join(left[:5]))
        print(f'holder paused for {pause_s} s in the midst of its work: 0 of its writes landed, both indexes agree, '
              f'the target {converged_s:.1f} s after the pause')
        for server in (holder, other, target):
            server.stop()
        shell.close()


main(run)
