#!/usr/bin/env python3
"""An edge under the global default group means every user: how long until all are fresh, what searches feel of it, and
that a kill in the middle loses nothing. TAILFIN_USERS=200000 is the row of the requirements."""
import os
import threading
import time

import seventv
from seventv_values import GLOBAL, node, ulid
from tailfin import ROOT, Mongo, Scratch, Tailfin, check, main, scale, seed


class Searcher(threading.Thread):
    """Searches all the while, one after the other."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.is_over, self.took_ms, self.errors = server, False, [], []

    def run(self):
        connection = self.server.connection()
        while not self.is_over:
            begin = time.monotonic()
            try:
                self.server.search('users', 'kappa', connection, query_by='twitch_names', sort_by='role_rank:desc')
            except Exception as e:  # reported by the test's thread
                self.errors.append(e)
                return
            self.took_ms.append((time.monotonic() - begin) * 1000)
            time.sleep(.002)

    def finish(self):
        """Median and 99th percentile in ms."""
        self.is_over = True
        self.join()
        check(not self.errors, f'a search failed: {self.errors}')
        took = sorted(self.took_ms)
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
        time.sleep(.02)
    return time.monotonic() - begin


def run(program):
    rng = seed()
    n = scale('TAILFIN_USERS', 5000)
    writeback = os.environ.get('TAILFIN_WRITEBACK', 'none')
    with Scratch() as scratch, Mongo(scratch + '/mongodb') as mongo:
        shell = seventv.Shell(ROOT, mongo.uri, 'journey')
        application = seventv.Application(shell, rng)
        application.insert('roles', [application.new('roles') for _ in range(8)])
        role = application.ids['roles'][0]
        for _ in range(0, n, 1000):
            application.insert('users', [application.new('users') for _ in range(1000)])
        server = Tailfin(program, scratch + '/index', '--mongodb-uri', mongo.uri, '--writeback', writeback)
        server.start(timeout=300)
        searcher = Searcher(server)
        searcher.start()
        time.sleep(3)
        before = searcher.finish()
        edge = {'from': node(GLOBAL), 'to': node('role', role), 'managed_by': None}
        searcher, seen, used_s = Searcher(server), [], cpu_s(server)
        searcher.start()
        application.insert('entitlement_edges', [{'_id': edge}])
        fresh_s = await_count(server, ulid(role), n, 300, seen)
        during, used_s = searcher.finish(), cpu_s(server) - used_s
        check(any(seen), 'the status shows no progress')
        application.remove('entitlement_edges', edge)
        gone_s = await_count(server, ulid(role), 0, 300)
        application.insert('entitlement_edges', [{'_id': edge}])
        while not 0 < with_role(server, ulid(role)) < n:
            time.sleep(.001)
        server.kill()
        server.start()
        at_start = with_role(server, ulid(role))
        again_s = await_count(server, ulid(role), n, 300)
        left = seventv.differences(server, shell, ['users', 'roles'])
        check(not left, f'{len(left)} differences: ' + '\n'.join(left[:5]))
        print(f'{n} users under the global default group, writeback {writeback}: fresh in {fresh_s:.1f} s '
              f'({used_s:.1f} s of processor with the searches, load {os.getloadavg()[0]:.0f}), gone in '
              f'{gone_s:.1f} s, killed at {at_start} of {n} and fresh {again_s:.1f} s after the start; searches '
              f'{before[0]:.1f}/{before[1]:.1f} ms (median/p99) before, {during[0]:.1f}/{during[1]:.1f} ms meanwhile; '
              f'progress shown {sum(map(bool, seen))} times, for instance {next(s for s in seen if s)}')
        server.stop()
        shell.close()


main(run)
