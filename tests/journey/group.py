#!/usr/bin/env python3
"""An edge under the global default group means every user: how long until all are fresh, what searches feel of it, and
that a kill in the middle loses nothing. TAILFIN_USERS=200000 is the row of the requirements."""
import multiprocessing
import os
import statistics
import time

import seventv
from seventv_values import GLOBAL, node, ulid
from tailfin import ROOT, Mongo, Scratch, Tailfin, check, main, scale, seed

ROUNDS = 3
SHARE_OF_MAX = 1 / 3
LOOK_S = .1  # between looks at how far it is


def search(server, connection):
    server.search('users', 'kappa', connection, query_by='twitch_names', sort_by='role_rank:desc')


def max_per_s(server, seconds=3):
    """How many searches one client can have in a second."""
    connection, n, begin = server.connection(), 0, time.monotonic()
    while time.monotonic() < begin + seconds:
        search(server, connection)
        n += 1
    return n / seconds


class Searcher:
    """Searches at a fixed rate, in a process of its own; times count from when a search was due."""

    def __init__(self, server, per_s):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=self.run, args=(server, per_s, theirs), daemon=True)
        self.process.start()

    @staticmethod
    def run(server, per_s, pipe):
        connection, took_ms, begin = server.connection(), [], time.monotonic()
        while not pipe.poll(max(0, begin + len(took_ms) / per_s - time.monotonic())):
            due = begin + len(took_ms) / per_s
            try:
                search(server, connection)
            except Exception as e:  # reported by the test's process
                pipe.send(repr(e))
                return
            took_ms.append((time.monotonic() - due) * 1000)
        pipe.send(took_ms)

    def finish(self):
        """Median and 99th percentile in ms."""
        self.pipe.send('enough')
        took = self.pipe.recv()
        self.process.join()
        check(isinstance(took, list), f'a search failed: {took}')
        took.sort()
        return took[len(took) // 2], took[len(took) * 99 // 100]


def with_role(server, role):
    return server.search('users', filter_by=f'entitlements:=role:{role}', per_page=1)['found']


def cpu_s(server):
    """Seconds of processor that the program has used: they do not depend on what else the machine does."""
    with open(f'/proc/{server.process.pid}/stat') as f:
        fields = f.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def running(server):
    source = server.ask('GET', '/admin/status')[1]['source']
    return source.get('cascades_running') or source['cascades']


def await_count(server, role, n, timeout, is_seen=None):
    """Seconds until n users have the role; what the status said meanwhile is put into is_seen."""
    begin = time.monotonic()
    while (there := with_role(server, role)) != n:
        check(time.monotonic() < begin + timeout, f'{there} of {n} users after {timeout} s')
        if is_seen is not None:
            is_seen.append(running(server))
        time.sleep(LOOK_S)
    return time.monotonic() - begin


def check_priorities(server):
    """What feeds the index has stepped back from what answers: searches are not to feel it."""
    nice = {}
    for task in os.listdir(f'/proc/{server.process.pid}/task'):
        with open(f'/proc/{server.process.pid}/task/{task}/stat') as f:
            name, _, rest = f.read().partition('(')[2].rpartition(')')
        nice.setdefault(name, int(rest.split()[16]))
    answering = nice['tailfin']
    for name in ('mongo-apply', 'mongo-stream', 'index-writer', 'index-merge'):
        check(nice[name] > answering or answering == 19, f'{name} runs at nice {nice[name]}, searches at {answering}')


def one_round(server, application, edge, role, n, per_s):
    """Searches alone, then as long as it takes until every user has the edge, which goes again; what was measured."""
    searcher, end = Searcher(server, per_s), time.monotonic() + 5
    while time.monotonic() < end:  # looked at just as often as meanwhile: that costs processor, too
        with_role(server, role)
        running(server)
        time.sleep(LOOK_S)
    alone = searcher.finish()
    searcher, seen, used_s = Searcher(server, per_s), [], cpu_s(server)
    application.insert('entitlement_edges', [{'_id': edge}])
    fresh_s = await_count(server, role, n, 300, seen)
    beside, used_s = searcher.finish(), cpu_s(server) - used_s
    check(any(seen), 'the status shows no progress')
    application.remove('entitlement_edges', edge)
    gone_s = await_count(server, role, 0, 300)
    return {'alone': alone, 'beside': beside, 'fresh': fresh_s, 'gone': gone_s, 'cpu': used_s,
            'seen': [s for s in seen if s]}


def tell(n, writeback, rounds, per_s):
    """Medians of the rounds: what else the machine does falls on searches alone and beside the cascade."""
    def middle(pick):
        return statistics.median(pick(r) for r in rounds)

    fresh = ', '.join('%.1f' % r['fresh'] for r in rounds)
    each = ', '.join('%.1f -> %.1f' % (r['alone'][1], r['beside'][1]) for r in rounds)
    times = {what: (middle(lambda r: r[what][0]), middle(lambda r: r[what][1])) for what in ('alone', 'beside')}
    before, after = times['alone'][1], times['beside'][1]
    print(f'{n} users under the global default group, writeback {writeback}: fresh in {fresh} s '
          f'({middle(lambda r: r["cpu"]):.1f} s of processor with the searches, load {os.getloadavg()[0]:.0f}), '
          f'gone in {middle(lambda r: r["gone"]):.1f} s; progress shown {sum(len(r["seen"]) for r in rounds)} times, '
          f'for instance {rounds[0]["seen"][0]}')
    print(f'searches at {per_s:.0f}/s: {times["alone"][0]:.1f}/{before:.1f} ms (median/p99) alone, '
          f'{times["beside"][0]:.1f}/{after:.1f} ms meanwhile, medians of {len(rounds)} rounds (p99 {each} ms): '
          + ('unaffected' if after <= 1.2 * before or after <= before + 2 else 'affected'))


def run(program):
    rng = seed()
    n = scale('TAILFIN_USERS', 5000)
    writeback = os.environ.get('TAILFIN_WRITEBACK', 'none')
    with Scratch() as scratch, Mongo(scratch + '/mongodb') as mongo:
        shell = seventv.Shell(ROOT, mongo.uri, 'journey')
        application = seventv.Application(shell, rng)
        role = application.fill_users(8, n)
        server = Tailfin(program, scratch + '/index', '--mongodb-uri', mongo.uri, '--writeback', writeback)
        server.start(timeout=300)
        check_priorities(server)
        edge = {'from': node(GLOBAL), 'to': node('role', role), 'managed_by': None}
        per_s = max_per_s(server) * SHARE_OF_MAX
        rounds = [one_round(server, application, edge, ulid(role), n, per_s) for _ in range(ROUNDS)]
        application.insert('entitlement_edges', [{'_id': edge}])
        while with_role(server, ulid(role)) == 0:
            time.sleep(.001)
        server.kill()
        server.start()
        at_start = with_role(server, ulid(role))
        again_s = await_count(server, ulid(role), n, 300)
        left = seventv.differences(server, shell, ['users', 'roles'])
        check(not left, f'{len(left)} differences: ' + '\n'.join(left[:5]))
        tell(n, writeback, rounds, per_s)
        print(f'killed at {at_start} of {n} and fresh {again_s:.1f} s after the start')
        server.stop()
        shell.close()


main(run)
