#!/usr/bin/env python3
"""Everything at once: random operations on every kind of document on a replica set of three, whose primaries step
down, whose nodes die, whose network is cut, hangs and crawls, whose commands fail; and Tailfin killed all the while.
When it is over, index and MongoDB must agree: 0 missing, 0 stale, 0 ghosts."""
import os
import random
import subprocess
import threading
import time

import seventv
from replicaset import ReplicaSet
from tailfin import ROOT, Scratch, Tailfin, check, environment, main, scale, seed

ERRORS = [{'errorCode': 91}, {'errorCode': 189}, {'errorCode': 11600}, {'errorCode': 11601}, {'errorCode': 96},
          {'errorCode': 43}, {'closeConnection': True}]


class Writer(threading.Thread):
    """Does as many operations as it was granted."""

    def __init__(self, application):
        super().__init__(daemon=True)
        self.application, self.granted, self.is_over, self.error = application, 0, False, None

    def run(self):
        try:
            while not self.is_over:
                if self.application.n < self.granted:
                    self.application.step()
                else:
                    time.sleep(.005)
        except Exception as e:  # reported by the test's thread
            self.error = e

    def finish(self):
        while self.application.n < self.granted and not self.error:
            time.sleep(.01)
        self.is_over = True
        self.join()
        if self.error:
            raise self.error


class Disturbance:
    """What happens to the replica set, one thing at a time, each for a moment."""

    def __init__(self, mongo, rng):
        self.mongo, self.rng, self.counts = mongo, rng, {}

    def do(self, name):
        self.counts[name] = self.counts.get(name, 0) + 1
        getattr(self, name)()

    def step_down(self):
        self.mongo.step_down()

    def network(self, verb, *words):
        node = self.rng.choice(self.mongo.nodes)
        node.network(verb, *words)
        time.sleep(self.rng.uniform(.2, 4))
        node.network('open')

    def cut(self):
        self.network('cut')

    def hold(self):
        self.network('hold')

    def slow(self):
        self.network('slow', self.rng.randrange(5, 60))

    def fail(self):
        """Reads of Tailfin fail in the middle of whatever it does; in mode full its write-backs, too."""
        self.mongo.fail(self.rng.choice([['find'], ['getMore'], ['aggregate'], ['commitTransaction'], ['find', 'getMore']]),
                        self.rng.randrange(1, 6), **self.rng.choice(ERRORS))

    def lose(self):
        node = self.rng.choice(self.mongo.nodes)
        node.kill()
        time.sleep(self.rng.uniform(.2, 3))
        node.start()


def disturbances(rng, kills, step_downs):
    """What happens in which round."""
    others = max(4, kills // 5)
    plan = ['step_down'] * step_downs + [('cut', 'hold', 'slow', 'fail')[i % 4] for i in range(others)]
    plan += ['lose'] * (kills // 40)
    rounds = [[] for _ in range(kills)]
    for name in plan:
        rng.choice(rounds).append(name)
    return rounds


def unmarked(shell):
    """In mode full: documents that still say they are not indexed, and users whose cached values are not theirs."""
    left = []
    for kind in seventv.KINDS:
        left += [f'{kind} {d["_id"]}' for d in shell.each(kind, {'search_updated_at': 1}) if not d.get('search_updated_at')]
    world = seventv.relations(shell)
    for d in shell.each('users'):
        expected, cached = seventv.KINDS['users'](d, world), d['cached']
        entitlements = sorted(seventv.node_text(n) for n in cached['entitlements'])
        if (entitlements, cached['role_rank']) != (sorted(expected['entitlements']), expected['role_rank']):
            left.append(f'cached of user {expected["id"]}')
    return left


def await_marks(shell, timeout):
    end = time.monotonic() + timeout
    while left := unmarked(shell):
        check(time.monotonic() < end, f'{len(left)} marks are missing in MongoDB:\n' + '\n'.join(left[:10]))
        time.sleep(2)


def verify(program, server):
    """The program's own comparison of MongoDB and index; its exit status says that they agree."""
    out = subprocess.run([program, 'verify', '--wait', '--url', f'http://127.0.0.1:{server.port}', '--api-key',
                          server.key], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         env=environment())
    check(out.returncode == 0, f'tailfin verify disagrees:\n{out.stdout}')
    return out.stdout.splitlines()[-1]


def run(program):
    rng = seed()
    n_operations, kills = scale('TAILFIN_OPERATIONS', 500), scale('TAILFIN_KILLS', 10)
    step_downs = scale('TAILFIN_STEPDOWNS', 1)
    writeback = os.environ.get('TAILFIN_WRITEBACK', 'none')
    with Scratch() as scratch, ReplicaSet(scratch + '/mongodb') as mongo:
        shell = seventv.Shell(ROOT, mongo.writer_uri, 'journey', retry_s=90)
        application = seventv.Application(shell, random.Random(rng.random()))
        application.fill(scale('TAILFIN_USERS', 300))
        writer = Writer(application)
        writer.start()
        disturbance = Disturbance(mongo, rng)
        reads = rng.choice(['primary', 'secondaryPreferred', 'nearest'])
        server = Tailfin(program, scratch + '/index', '--mongodb-uri', f'{mongo.uri}&readPreference={reads}',
                         '--commit-ms', '100', '--writeback', writeback, '--verify-docs-per-s', '0')
        for k, plan in enumerate(disturbances(rng, kills, step_downs)):
            writer.granted = n_operations * (k + 1) // kills
            server.start(wait=False)
            for name in plan:
                time.sleep(rng.uniform(0, 1))
                disturbance.do(name)
            time.sleep(rng.uniform(0, 1.2))
            check(server.process.poll() is None, 'tailfin ended by itself:\n' + server.tail())
            server.kill()
        server.start(wait=False)
        mongo.heal()
        writer.finish()
        server.wait_healthy(120)
        left = seventv.settle(server, shell, 120)
        check(not left, f'{len(left)} differences:\n' + '\n'.join(left[:10]) + '\n' + server.tail())
        print(verify(program, server))
        if writeback == 'full':
            await_marks(shell, 150)  # nobody repairs: what a killed process owed, the next one knows
        print(f'{application.n} operations, {kills} kills, {disturbance.counts}, writeback {writeback}, '
              f'reads {reads}: 0 missing, 0 stale, 0 ghosts')
        server.stop()
        check(subprocess.run([program, 'check', scratch + '/index'], env=environment()).returncode == 0, 'tailfin check')
        shell.close()


main(run)
