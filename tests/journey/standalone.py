#!/usr/bin/env python3
"""Standalone mode: what was acknowledged survives kill -9 and is visible at once.

Writers import and write single documents while the server is killed at random
moments; every acknowledged write must be there afterwards, and the index
directory must pass `tailfin check`.
"""
import json
import os
import subprocess
import threading
import time

from tailfin import Failure, Scratch, Tailfin, check, main, scale, seed

SCHEMA = {'name': 'things', 'default_sorting_field': 'rank',
          'fields': [{'name': 'name', 'type': 'string'}, {'name': 'rank', 'type': 'int32'},
                     {'name': 'tags', 'type': 'string[]', 'optional': True, 'facet': True}]}


def document(number, version):
    return {'id': f'd{number}', 'name': f'name{number} v{version}', 'rank': version, 'tags': [f't{number % 7}']}


class Writer(threading.Thread):
    """Owns the numbers n with n % writers == mine; knows what was acknowledged of each."""

    def __init__(self, server, mine, writers, rng):
        super().__init__(daemon=True)
        self.server, self.rng = server, rng
        self.numbers = [n for n in range(2000) if n % writers == mine]
        self.acknowledged = {}  # number -> document or None (deleted)
        self.unsure = {}        # number -> list of outcomes that may have happened
        self.version = 0
        self.is_over = False

    def note(self, number, outcome, is_sure):
        if is_sure:
            self.acknowledged[number] = outcome
            self.unsure.pop(number, None)
        else:
            self.unsure.setdefault(number, []).append(outcome)

    def single(self, c):
        n = self.rng.choice(self.numbers)
        self.version += 1
        if self.rng.random() < 0.2:
            method, path, body, outcome = 'DELETE', f'/collections/things/documents/d{n}?ignore_not_found=true', None, None
        else:
            outcome = document(n, self.version)
            method, path, body = 'POST', '/collections/things/documents?action=upsert', outcome
        self.note(n, outcome, False)
        status, answer = self.server.ask(method, path, body, connection=c)
        if status in (200, 201):
            self.note(n, outcome, True)
            if outcome:
                status, seen = self.server.ask('GET', f'/collections/things/documents/d{n}', connection=c)
                if (status, seen) != (200, outcome):
                    raise Failure(f'read after write of d{n}: {status} {seen}')
        elif status != 503:
            raise Failure(f'{method} {path}: {status} {answer}')

    def bulk(self, c):
        numbers = self.rng.sample(self.numbers, 50)
        self.version += 1
        outcomes = [document(n, self.version) for n in numbers]
        for n, o in zip(numbers, outcomes):
            self.note(n, o, False)
        body = '\n'.join(json.dumps(o) for o in outcomes).encode()
        status, data = self.server.ask('POST', '/collections/things/documents/import?action=upsert', body,
                                       connection=c, raw=True)
        if status != 200:
            return
        for n, o, line in zip(numbers, outcomes, data.splitlines()):
            if json.loads(line).get('success'):
                self.note(n, o, True)

    def run(self):
        c = None
        while not self.is_over:
            try:
                c = c or self.server.connection(timeout=20)
                (self.bulk if self.rng.random() < 0.3 else self.single)(c)
            except (OSError, ConnectionError, Exception) as e:  # the server was killed in between
                if isinstance(e, Failure):
                    self.failure = e
                    return
                c = None
                time.sleep(0.01)

    failure = None


def compare(server, writers):
    there = server.export('things')
    for w in writers:
        if w.failure:
            raise w.failure
        for n in w.numbers:
            seen = there.pop(f'd{n}', None)
            allowed = [w.acknowledged.get(n)] + w.unsure.get(n, [])
            check(seen in allowed, f'd{n}: {seen} is none of {allowed}')
            # What is there now is the truth to go on from.
            w.acknowledged[n] = seen
            w.unsure.pop(n, None)
    check(not there, f'documents that nobody wrote: {list(there)[:5]}')


def run(program):
    rng = seed()
    kills = scale('TAILFIN_KILLS', 10)
    with Scratch() as scratch:
        server = Tailfin(program, os.path.join(scratch, 'index'), '--commit-ms', '200')
        server.start()
        status, answer = server.ask('POST', '/collections', SCHEMA)
        check(status == 201, f'create: {status} {answer}')
        writers = [Writer(server, i, 4, __import__('random').Random(rng.random())) for i in range(4)]
        for w in writers:
            w.start()
        for k in range(kills):
            time.sleep(rng.uniform(0.05, 1.0))
            server.kill()
            server.start()
        time.sleep(0.3)
        for w in writers:
            w.is_over = True
        for w in writers:
            w.join(30)
        compare(server, writers)
        n = sum(len(w.acknowledged) for w in writers)
        print(f'{kills} kills, {sum(w.version for w in writers)} writes, {n} ids: nothing lost')
        server.stop()
        server.start()
        compare(server, writers)
        server.stop()
        check(subprocess.run([program, 'check', os.path.join(scratch, 'index')]).returncode == 0, 'tailfin check')


main(run)
