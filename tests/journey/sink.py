#!/usr/bin/env python3
"""The Typesense sink against Tailfin's own standalone mode: kill -9 of the feeding sidecar at random moments of
filling and tailing, a reindex under way or not; a target that hangs; a holder of the lease that sleeps, or is killed
while it cannot keep up, and another takes over; target and MongoDB gone at once. Each time the target must have what MongoDB means afterwards: 0 missing, 0 stale, 0 ghosts, and no
collection that no one needs.

With TYPESENSE_URL (and TYPESENSE_API_KEY) the kills are done against that server instead, whose collections of the
profile's names are replaced: it must be one for tests."""
import http.client
import os
import random
import signal
import subprocess
import threading
import time
import urllib.parse

import seventv
from proxy import Network
from tailfin import KEY, ROOT, Mongo, Scratch, Tailfin, check, main, scale, seed

# Short times, so that many kills fit into a test: a dead holder is replaced after 2 s, and its requests after 2 more.
FEEDING = ['--typesense-timeout-s', '2', '--lease-s', '2', '--typesense-grace-s', '1', '--commit-ms', '100',
           '--typesense-batch-kb', '16']


class Typesense(Tailfin):
    """A real one, which is there already."""

    def __init__(self, url, key):
        address = urllib.parse.urlsplit(url)
        self.host, self.port, self.key, self.url = address.hostname, address.port or 8108, key, url

    def start(self):
        for alias in self.ask('GET', '/aliases', key=self.key)[1]['aliases']:
            self.ask('DELETE', '/aliases/' + alias['name'], key=self.key)
        for collection in self.ask('GET', '/collections', key=self.key)[1]:
            self.ask('DELETE', '/collections/' + collection['name'], key=self.key)

    def stop(self, timeout=5):
        pass

    def connection(self, timeout=60):
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def ask(self, method, path, body=None, key=None, **rest):
        return super().ask(method, path, body, self.key, **rest)


class Writer(threading.Thread):
    """Changes of every kind, until told to pause or end."""

    def __init__(self, application):
        super().__init__(daemon=True)
        self.application, self.is_over, self.n, self.error = application, False, 0, None

    def run(self):
        try:
            while not self.is_over:
                self.application.step()
                self.n += 1
                time.sleep(.001)
        except Exception as e:  # reported by the test's thread
            self.error = e

    def end(self):
        self.is_over = True
        self.join()
        if self.error:
            raise self.error


def sidecar(program, directory, mongo, target, port=None):
    return Tailfin(program, directory, '--mongodb-uri', mongo.uri, '--backend', 'both', '--typesense-url',
                   getattr(target, 'url', f'http://127.0.0.1:{port or target.port}'), '--typesense-api-key', target.key,
                   *FEEDING)


def state(server):
    return server.ask('GET', '/admin/status')[1]['source']['typesense']


def wait_for(what, text, timeout=60):
    end = time.monotonic() + timeout
    while not what():
        check(time.monotonic() < end, f'not within {timeout} s: {text}')
        time.sleep(.05)


def follows(server):
    s = state(server)
    return s['state'] == 'following' and all(c['state'] == 'following' for c in s['collections'].values())


def compare(target, feeder, shell, when):
    wait_for(lambda: follows(feeder), f'following {when}: {feeder.tail()}')
    left = seventv.settle(target, shell, with_edges=False)
    check(not left, f'{len(left)} differences {when}:\n' + '\n'.join(left[:10]) + '\n' + feeder.tail() + str(state(feeder)))


def only_targets(target, feeder):
    """Every collection of the target is the one that an alias names."""
    used = {c['target'] for c in state(feeder)['collections'].values()}

    def extra():
        return {c['name'] for c in target.ask('GET', '/collections')[1]} - used
    wait_for(lambda: not extra(), f'old collections are dropped: {extra()}', 120)


def plain_collection(target):
    """What was there before Tailfin: a collection of the alias's name."""
    fields = [{'name': 'default_name', 'type': 'string'}, {'name': 'score', 'type': 'int32'}]
    status, answer = target.ask('POST', '/collections', {'name': 'emotes', 'fields': fields})
    check(status == 201, f'collection: {answer}')
    status, answer = target.ask('POST', '/collections/emotes/documents',
                                {'id': 'old', 'default_name': 'ghost', 'score': 1})
    check(status == 201, f'document: {answer}')


def kills(feeder, target, shell, application, rng):
    n = scale('TAILFIN_KILLS', 10)
    writer = Writer(application)
    writer.start()
    states = {}
    for k in range(n):
        feeder.start()
        # Wait for the lease in most rounds; else the kill hits the start.
        if rng.random() < .8:
            wait_for(lambda: state(feeder)['state'] not in ('waiting', 'quiet'), 'the lease is taken: ' + feeder.tail(), 120)
            if rng.random() < .5:
                feeder.ask('POST', '/admin/reindex')
                if rng.random() < .5:
                    wait_for(lambda: state(feeder)['state'] != 'following', 'a reindex reaches the sink', 60)
        time.sleep(rng.uniform(0, 1))
        s = state(feeder)['state']
        states[s] = states.get(s, 0) + 1
        feeder.kill()
    feeder.start()
    writer.end()
    compare(target, feeder, shell, f'after {n} kills')
    only_targets(target, feeder)
    print(f'{n} kills under {writer.n} operations, while {states}: 0 missing, 0 stale, 0 ghosts', flush=True)


def stalled(feeder, target, shell, application):
    writer = Writer(application)
    writer.start()
    target.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: state(feeder)['state'] == 'retrying', 'the stall is noticed', 30)
    check(feeder.ask('GET', '/health')[0] == 200, 'the feeding sidecar serves while its target hangs')
    time.sleep(scale('JOURNEY_STALL_S', 3))
    pending = state(feeder)['pending']
    target.process.send_signal(signal.SIGCONT)
    writer.end()
    compare(target, feeder, shell, 'after a stall')
    print(f'a stall of the target with {writer.n} operations, {pending} documents owed at its end: nothing lost', flush=True)


def takeover(program, scratch, mongo, feeder, target, shell, application):
    """The holder sleeps; another one takes over; the first wakes up and must not undo anything."""
    other = sidecar(program, scratch + '/other', mongo, target)
    other.start()
    # The writer drops some collections, which are built anew with all that is derived from them: not these.
    kept = ('emotes', 'badges', 'paints')
    wait_for(lambda: state(other)['state'] == 'waiting' and
             all(state(other)['collections'][name]['state'] == 'following' for name in kept),
             'the standby adopts what there is')
    names = {n: c['target'] for n, c in state(feeder)['collections'].items()}
    wait_for(lambda: state(feeder)['acknowledged_until_s'] > 0, 'the holder tells')
    writer = Writer(application)
    writer.start()
    time.sleep(.5)
    feeder.process.send_signal(signal.SIGSTOP)
    # Not all collections follow at once: the writer goes on dropping some.
    wait_for(lambda: state(other)['state'] in ('building', 'following'), 'the standby takes over', 30)
    time.sleep(1)
    feeder.process.send_signal(signal.SIGCONT)
    time.sleep(1)
    writer.end()
    compare(target, other, shell, 'after a takeover')
    check(state(feeder)['state'] == 'waiting', 'the old holder stands by')
    for name in kept:
        check(state(other)['collections'][name]['target'] == names[name],
              f'the new holder goes on with {name} of the old one')
    other.stop()
    wait_for(lambda: follows(feeder), 'the lease comes back at once', 10)
    compare(target, feeder, shell, 'after a handover')
    print('a takeover and a handover: nothing lost, nothing built anew', flush=True)


class Steady(threading.Thread):
    """Many different documents a second, each once in a while, until told to end."""

    def __init__(self, shell, rate):
        super().__init__(daemon=True)
        self.shell, self.rate, self.is_over, self.n, self.error = shell, rate, False, 0, None

    def run(self):
        try:
            ids = [d['_id'] for d in self.shell.find('emotes', {'_id': 1})]
            begin = time.monotonic()
            while not self.is_over:
                part = [ids[(self.n + i) % len(ids)] for i in range(self.rate // 20)]
                self.shell.run({'update': 'emotes', 'updates': [
                    {'q': {'_id': {'$in': part}}, 'multi': True, 'u': {
                        '$set': {'default_name': f'steady{self.n}'},
                        '$currentDate': {'updated_at': True, 'search_updated_at': True}}}]})
                self.n += len(part)
                time.sleep(max(0, begin + self.n / self.rate - time.monotonic()))
        except Exception as e:  # reported by the test's thread
            self.error = e

    end = Writer.end


def steady(program, scratch, mongo, feeder, target, shell):
    """A holder that a slow target keeps from ever being without debts is killed: the standby goes on where it ended."""
    feeder.stop()
    writer = Steady(seventv.Shell(ROOT, mongo.uri, 'journey'), 500)
    with Network() as network:
        port = network.do('add', target.port)
        slow = [sidecar(program, scratch + '/slow' + name, mongo, target, port=port) for name in '12']
        slow[0].start()
        compare(target, slow[0], shell, 'before it becomes slow')
        names = {n: c['target'] for n, c in state(slow[0])['collections'].items()}
        writer.start()
        network.do('slow', port, 60)
        wait_for(lambda: state(slow[0])['pending'] > 500, 'the holder falls behind')
        slow[1].start()
        owed = []

        def is_adopted():
            owed.append(state(slow[0])['pending'])
            return all(c['state'] == 'following' for c in state(slow[1])['collections'].values())
        wait_for(is_adopted, 'the standby adopts under steady writes', 120)
        check(state(slow[1])['state'] == 'waiting', f'it stands by: {state(slow[1])}')
        told = state(slow[0])['acknowledged_until_s']
        wait_for(lambda: state(slow[0])['acknowledged_until_s'] > told + 2, 'what is acknowledged moves on')
        slow[0].kill()
        wait_for(lambda: follows(slow[1]), 'the standby takes over', 60)
        time.sleep(2)
        writer.end()
        network.do('open', port)
        compare(target, slow[1], shell, 'after a takeover under steady writes')
        check(min(owed) > 0, f'the holder was never without debts: {owed}')
        now = {n: c['target'] for n, c in state(slow[1])['collections'].items()}
        check(now == names, f'nothing was built anew: {names} {now}')
        slow[1].stop()
    writer.shell.close()
    feeder.start()
    compare(target, feeder, shell, 'after others fed')
    only_targets(target, feeder)
    print(f'a takeover at {writer.n} writes, {min(owed)} to {max(owed)} owed: nothing lost, nothing built anew', flush=True)


def cpu_seconds(server, name):
    """Of its thread of that name."""
    for task in os.listdir(f'/proc/{server.process.pid}/task'):
        with open(f'/proc/{server.process.pid}/task/{task}/stat') as f:
            comm, fields = f.read().split('(', 1)[1].rsplit(')', 1)
        if comm == name:
            return sum(map(int, fields.split()[11:13])) / os.sysconf('SC_CLK_TCK')
    raise AssertionError(name)


def outage(mongo, feeder, target, shell, application):
    """Without its target, and then without MongoDB, the sink waits: it does not spin."""
    writer = Writer(application)
    writer.start()
    target.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: state(feeder)['state'] == 'retrying' and state(feeder)['pending'], 'the stall is noticed', 30)
    begin = cpu_seconds(feeder, 'typesense')
    time.sleep(4)
    busy = [(cpu_seconds(feeder, 'typesense') - begin) / 4]
    writer.end()
    mongo.signal(signal.SIGSTOP)
    wait_for(lambda: state(feeder)['state'] == 'waiting', 'the lease is not certain any more', 60)
    begin = cpu_seconds(feeder, 'typesense')
    time.sleep(4)
    busy.append((cpu_seconds(feeder, 'typesense') - begin) / 4)
    mongo.signal(signal.SIGCONT)
    target.process.send_signal(signal.SIGCONT)
    compare(target, feeder, shell, 'after an outage of both sides')
    check(busy[0] < .1 and busy[1] < .03, f'the thread waits: {busy}')
    print('both sides away: the thread took {:.1%} and then {:.1%} of a core'.format(*busy), flush=True)


def refusals(program, scratch):
    """What makes no sense does not start, and says why."""
    mongodb = ['--mongodb-uri', 'mongodb://127.0.0.1:1/x']
    for flags, word in ((mongodb, 'typesense-url'), (['--typesense-url', 'http://127.0.0.1:1'], 'mongodb-uri'),
                        ([*mongodb, '--typesense-url', 'ftp://x'], 'no http'), ([*mongodb, '--typesense-url', ','], 'no http')):
        done = subprocess.run([program, 'serve', '--listen', '127.0.0.1:0', '--data-dir', scratch + '/refused',
                               '--backend', 'both', *flags], stderr=subprocess.PIPE, text=True, timeout=60,
                              env={k: v for k, v in os.environ.items() if not k.startswith('TAILFIN_')})
        check(done.returncode == 1 and word in done.stderr, f'{flags}: {done.returncode} {done.stderr}')


def run(program):
    rng = seed()
    parts = os.environ.get('JOURNEY_PARTS', 'kills stalled takeover steady outage').split()
    with Scratch() as scratch, Mongo(scratch + '/mongodb') as mongo:
        refusals(program, scratch)
        shell = seventv.Shell(ROOT, mongo.uri, 'journey')
        application = seventv.Application(shell, random.Random(rng.random()))
        application.fill(scale('TAILFIN_USERS', 1500))
        url = os.environ.get('TYPESENSE_URL')
        if url:
            target, parts = Typesense(url, os.environ.get('TYPESENSE_API_KEY', KEY)), ['kills']
        else:
            target = Tailfin(program, scratch + '/target')
        target.start()
        plain_collection(target)
        feeder = sidecar(program, scratch + '/index', mongo, target)
        if 'kills' in parts:
            kills(feeder, target, shell, application, rng)
        else:
            feeder.start()
            compare(target, feeder, shell, 'at first')
        status, alias = target.ask('GET', '/aliases/emotes')
        check(status == 200 and alias['collection_name'].startswith('emotes_'), f'emotes is an alias: {alias}')
        if 'stalled' in parts:
            stalled(feeder, target, shell, application)
        if 'takeover' in parts:
            takeover(program, scratch, mongo, feeder, target, shell, application)
        if 'steady' in parts:
            steady(program, scratch, mongo, feeder, target, shell)
        if 'outage' in parts:
            outage(mongo, feeder, target, shell, application)
        feeder.stop()
        target.stop()
        shell.close()


if __name__ == '__main__':
    main(run)
