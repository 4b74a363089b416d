#!/usr/bin/env python3
"""The oplog ends somewhere: beside a busy neighbour an idle database resumes without a rebuild; a position that
MongoDB has forgotten, or never knew, costs a rebuild aside, while the old index serves."""
import os
import random
import time

import seventv
from tailfin import ROOT, Mongo, Scratch, Tailfin, check, main, seed

OPLOG_MB = 1  # mongod takes none smaller
WRITE_BYTES, WRITES_PER_S = 8192, 50  # a window of 2.5 s: what reads it all the while keeps up


def oplog_begin(mongo):
    local = seventv.Shell(ROOT, mongo.uri, 'local')
    first = local.run({'find': 'oplog.rs', 'limit': 1, 'singleBatch': True, 'sort': {'$natural': 1},
                       'projection': {'ts': 1}})
    local.close()
    return first['cursor']['firstBatch'][0]['ts']['$timestamp']['t']


def roll_oplog(mongo, until_s):
    """Writes to a database that nobody watches until the oplog begins behind that second; twice its size at least."""
    other = seventv.Shell(ROOT, mongo.uri, 'neighbour')
    n = 0
    end = time.monotonic() + 120
    while n * WRITE_BYTES < 2 * OPLOG_MB << 20 or n % 10 or oplog_begin(mongo) <= until_s:
        check(time.monotonic() < end, 'the oplog does not roll over')
        other.run({'insert': 'busy', 'documents': [{'_id': {'n': n, 'at': time.time()}, 'text': 'x' * WRITE_BYTES}]})
        time.sleep(1 / WRITES_PER_S)
        n += 1
    other.run({'drop': 'busy'})
    other.close()
    return n * WRITE_BYTES / (1 << 20)


def status(server):
    code, answer = server.ask('GET', '/admin/status')
    check(code == 200, f'/admin/status answered {code}')
    return answer['source']


def metric(server, name):
    lines = server.ask('GET', '/metrics')[1].splitlines()
    return float(next(l for l in lines if l.startswith(name + ' ') or l.startswith(name + '{')).split()[-1])


def idle_beside_busy(server, mongo, application):
    begin_s = int(time.time())
    time.sleep(1.1)
    n = roll_oplog(mongo, begin_s)
    deadline = time.monotonic() + 30
    while status(server)['position_s'] <= begin_s + 1 or status(server)['lag_s'] > 2:
        check(time.monotonic() < deadline, f'the position stands: {status(server)}')
        time.sleep(.2)
    time.sleep(11)  # a position that moved alone is stored every 10 s
    server.kill()
    server.start()
    application.add()
    left = seventv.settle(server, application.shell)
    check(not left, 'after idling: ' + '\n'.join(left[:5]))
    check(metric(server, 'tailfin_scanned_total') == 0, 'something was scanned again:\n' + server.tail())
    print(f'idle beside {n:.1f} MB of a neighbour (oplog of {OPLOG_MB} MB): resumed without a rebuild')


def history_lost(server, mongo, application, rng):
    server.stop()
    before_s = int(time.time())
    for _ in range(300):
        application.step()
    time.sleep(1.1)
    roll_oplog(mongo, before_s)
    server.start()
    rebuilt_while_serving(server, application, 'history lost')


def another_cluster(server, scratch, rng):
    """The same names, other documents, and an oplog in which the position lies: MongoDB 4.0 accepts it."""
    with Mongo(scratch + '/another') as mongo:
        shell = seventv.Shell(ROOT, mongo.uri, 'journey')
        application = seventv.Application(shell, random.Random(rng.random()))
        application.fill(300)
        yield mongo
        server.flags = ['--mongodb-uri', mongo.uri]
        server.start()
        rebuilt_while_serving(server, application, 'another cluster')
        server.stop()
        shell.close()


def rebuilt_while_serving(server, application, what):
    """Searches go on, and the outside is told."""
    states = set()
    end = time.monotonic() + 20
    n_seen = server.search('users')['found']
    check(n_seen > 0, f'{what}: the old index does not serve')
    while time.monotonic() < end:
        code, health = server.ask('GET', '/health')
        check(code == 200, f'{what}: /health answered {code} {health}')
        states.add(health.get('source'))
        check(server.search('users')['found'] > 0, f'{what}: nothing is served')
        if 'tailing' == health.get('source') and status(server).get('last_error'):
            break
        time.sleep(.002)
    left = seventv.settle(server, application.shell)
    check(not left, f'{what}: {len(left)} differences: ' + '\n'.join(left[:5]) + f'\n{server.tail()}\n{status(server)}')
    check(metric(server, 'tailfin_scanned_total') > 0, f'{what}: nothing was rebuilt')
    check('last_error' in status(server), f'{what}: the status does not say why: {status(server)}')
    print(f'{what}: rebuilt while serving ({", ".join(sorted(map(str, states)))}), '
          f'last error: {status(server)["last_error"][:80]}')


def run(program):
    rng = seed()
    # The oplog is cut only behind a checkpoint.
    os.environ |= {'TAILFIN_MONGOD_OPLOG_MB': str(OPLOG_MB), 'TAILFIN_MONGOD_ARGS': '--syncdelay 1'}
    with Scratch() as scratch, Mongo(scratch + '/mongodb') as mongo:
        shell = seventv.Shell(ROOT, mongo.uri, 'journey')
        application = seventv.Application(shell, random.Random(rng.random()))
        application.fill(1000)
        server = Tailfin(program, scratch + '/index', '--mongodb-uri', mongo.uri)
        server.start()
        check(not seventv.settle(server, shell), 'the bootstrap is complete')
        another = another_cluster(server, scratch, rng)
        next(another)  # it must be older than the position
        idle_beside_busy(server, mongo, application)
        history_lost(server, mongo, application, rng)
        server.stop()
        for _ in another:
            pass
        shell.close()


main(run)
