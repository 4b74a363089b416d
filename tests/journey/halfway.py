#!/usr/bin/env python3
"""An edge under the global default group concerns every user, and their recomputation takes its time: kill -9 half
way through, again and again. Each start goes on where the last commit stood, and in the end every user is fresh, in
MongoDB, too, with writeback full."""
import os
import time

import seventv
from seventv_values import GLOBAL, node, ulid
from tailfin import ROOT, Mongo, Scratch, Tailfin, check, main, scale, seed

ROUND = 2000  # users of a cascade that are done together
KILLS = 3


def with_role(server, role):
    return server.search('users', filter_by=f'entitlements:=role:{role}', per_page=1)['found']


def await_more(server, role, than, timeout=120):
    end = time.monotonic() + timeout
    while (n := with_role(server, role)) < than:
        check(time.monotonic() < end, f'{n} users of {than} after {timeout} s')
        time.sleep(.002)
    return n


def cascaded(server):
    """Users that this process has touched for a cascade."""
    lines = server.ask('GET', '/metrics', raw=True)[1].decode().splitlines()
    return int(next(l for l in lines if l.startswith('tailfin_cascaded_total ')).split()[1])


def await_cached(shell, role, n, timeout):
    """Until MongoDB has the role in the cached entitlements of n users."""
    end = time.monotonic() + timeout
    query = {'cached.entitlements': node('role', role)}
    while (there := shell.run({'count': 'users', 'query': query})['n']) != n:
        check(time.monotonic() < end, f'MongoDB has the role for {there} of {n} users after {timeout} s')
        time.sleep(.5)


def run(program):
    rng = seed()
    n = scale('TAILFIN_USERS', 40000)
    writeback = os.environ.get('TAILFIN_WRITEBACK', 'none')
    with Scratch() as scratch, Mongo(scratch + '/mongodb') as mongo:
        shell = seventv.Shell(ROOT, mongo.uri, 'journey')
        application = seventv.Application(shell, rng)
        role = application.fill_users(3, n)
        server = Tailfin(program, scratch + '/index', '--mongodb-uri', mongo.uri, '--writeback', writeback,
                         '--commit-ms', '50', '--verify-docs-per-s', '0')
        server.start(timeout=300)
        if writeback == 'full':
            await_cached(shell, role, 0, 60)
        application.insert('entitlement_edges',
                           [{'_id': {'from': node(GLOBAL), 'to': node('role', role), 'managed_by': None}}])
        at_start = 0
        starts = []
        for k in range(KILLS):
            await_more(server, ulid(role), at_start + (n - at_start) // (KILLS + 1 - k))
            server.kill()
            server.start()
            at_start = with_role(server, ulid(role))
            starts.append(at_start)
        check(starts[0] > 0, 'nothing was done before the first kill')
        await_more(server, ulid(role), n)
        if writeback == 'none':
            check(cascaded(server) <= n - at_start + 2 * ROUND,
                  f'{cascaded(server)} users were touched by the last process, {at_start} of {n} were done before it')
        else:
            await_cached(shell, role, n, 120)
        left = seventv.differences(server, shell, ['users', 'roles'])
        check(not left, f'{len(left)} differences: ' + '\n'.join(left[:5]))
        print(f'{n} users, writeback {writeback}: {KILLS} starts went on at {starts}')
        server.stop()
        shell.close()


main(run)
