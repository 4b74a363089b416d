#!/usr/bin/env python3
"""A disk that fills up under a standalone server, and has room again later.

On a small tmpfs: once a file takes what is left of it, every kind of write ends in seconds, with 201 or with 503 and
a sentence, while searches go on and /health and /metrics say what is wrong. With room again everything works within
seconds. Whatever happens, also a kill -9 on the full disk, loses nothing that was acknowledged. Needs the right to
mount; skipped (77) without.
"""
import contextlib
import json
import os
import subprocess
import sys
import time

from tailfin import Scratch, Tailfin, check, main

SIZE_MB, BOUND_S, RECOVERY_S = 64, 30, 30
SCHEMA = {'name': 'things', 'fields': [{'name': 'name', 'type': 'string'}, {'name': 'rank', 'type': 'int32'}]}
FILLING = 'x' * 2000


class Disk:
    """A tmpfs whose free room is taken and given back."""

    def __init__(self, path):
        self.path, self.ballast = path, f'{path}/ballast'
        os.mkdir(path)
        if subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={SIZE_MB}m', 'tmpfs', path], stderr=subprocess.DEVNULL).returncode:
            print('skipped: mounting is not permitted')
            sys.exit(77)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(['umount', '-l', self.path], check=True)

    def fill(self, left_kb=0):
        free = os.statvfs(self.path)
        n = free.f_bavail * free.f_frsize - left_kb * 1024
        with contextlib.suppress(OSError), open(self.ballast, 'ab') as f:  # the server may be quicker
            if n > 0:
                os.posix_fallocate(f.fileno(), f.tell(), n)

    def free(self):
        os.unlink(self.ballast)


class Model:
    """What was acknowledged, and what may have happened besides."""

    def __init__(self, server):
        self.server, self.documents, self.unsure = server, {}, set()

    def ask(self, method, path, body=None):
        begin = time.monotonic()
        status, answer = self.server.ask(method, path, body)
        took = time.monotonic() - begin
        check(took < BOUND_S, f'{method} {path} took {took:.1f} s')
        check(status in (200, 201, 503), f'{method} {path} answered {status}: {answer}')
        check(status != 503 or len(answer['message']) > 20, f'{method} {path}: {answer}')
        return status, answer

    def put(self, number):
        document = {'id': f'd{number}', 'name': f'name{number} {FILLING}', 'rank': number}
        status, _ = self.ask('POST', '/collections/things/documents?action=upsert', document)
        self.note(document, status != 503)
        return status

    def note(self, document, is_sure):
        if is_sure:
            self.documents[document['id']] = document
        else:
            self.unsure.add(document['id'])

    def bulk(self, begin, end):
        """How many of the lines were refused."""
        documents = [{'id': f'd{n}', 'name': f'name{n} {FILLING}', 'rank': n} for n in range(begin, end)]
        status, answer = self.server.ask('POST', '/collections/things/documents/import?action=upsert',
                                         '\n'.join(json.dumps(d) for d in documents).encode(), raw=True)
        check(status == 200, f'import answered {status}')
        lines = [json.loads(line) for line in answer.splitlines()]
        check(len(lines) == len(documents), f'import: {len(lines)} lines')
        for document, line in zip(documents, lines):
            check(line['success'] or line['code'] == 503, f'import: {line}')
            self.note(document, line['success'])
        return sum(not line['success'] for line in lines)

    def compare(self, what):
        there = self.server.export('things')
        lost = [i for i, d in self.documents.items() if {k: v for k, v in there.get(i, {}).items() if k in d} != d]
        check(not lost, f'{what}: lost {lost[:5]}, {len(lost)} in all')
        extra = set(there) - set(self.documents) - self.unsure
        check(not extra, f'{what}: never sent {list(extra)[:5]}')


def catalog(model, n):
    """Each kind of change; {what: status}."""
    return {
        'create': model.ask('POST', '/collections', {**SCHEMA, 'name': f'other{n}'})[0],
        'alter': model.ask('PATCH', '/collections/things',
                           {'fields': [{'name': f'extra{n}', 'type': 'int32', 'optional': True}]})[0],
        'alias': model.ask('PUT', f'/aliases/a{n}', {'collection_name': 'things'})[0],
        'key': model.ask('POST', '/keys', {'description': f'k{n}', 'actions': ['documents:search'],
                                           'collections': ['*']})[0],
    }


def metric(server, name):
    text = server.ask('GET', '/metrics', raw=True)[1].decode()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name + ' '))


def check_full(server, model, disk, n):
    """Nothing fits any more: every write is refused, searches are answered."""
    for _ in range(20):  # files that a merge or a commit has replaced give room back
        disk.fill()
        answers = {'write': model.put(n), 'import': model.bulk(n + 1, n + 50), **catalog(model, time.monotonic_ns())}
        if all(a in (503, 49) for a in answers.values()):
            break
    check(all(a in (503, 49) for a in answers.values()), f'on a full disk: {answers}')
    status, _ = server.ask('POST', f'/operations/snapshot?snapshot_path={server.directory}-copy{n}')
    check(status in (201, 500, 503, 507), f'snapshot answered {status}')
    check(server.search('things', query_by='name')['found'] >= len(model.documents), 'searches stopped')
    status, health = server.ask('GET', '/health')
    check(status == 200 and 'space' in health.get('disk_error', ''), f'/health answered {status}: {health}')
    check(metric(server, 'tailfin_index_commit_failing') == 1, 'the metric says nothing')


def check_recovery(server, model, n):
    end = time.monotonic() + RECOVERY_S
    while model.put(n) == 503 or 503 in catalog(model, time.monotonic_ns()).values():
        check(time.monotonic() < end, f'no recovery: {server.ask("GET", "/health")}')
        time.sleep(.2)
    status, health = server.ask('GET', '/health')
    check(status == 200 and 'disk_error' not in health, f'/health still says {health}')


def run(program):
    with Scratch() as scratch, Disk(f'{scratch}/disk') as disk:
        server = Tailfin(program, f'{scratch}/disk/index', '--commit-ms', '200', '--ram-segments-mb', '1')
        server.log_path = f'{scratch}/log'
        server.start()
        model = Model(server)
        check(model.ask('POST', '/collections', SCHEMA)[0] == 201, 'no collection')
        check(model.bulk(0, 500) == 0, 'the disk is full too early')
        for turn in range(3):
            first = 10000 * (turn + 1)
            disk.fill(left_kb=[0, 300, 3000][turn])
            for n in range(1, 3000, 60):  # until what is left is used up
                if model.bulk(first + n, first + n + 60) == 60:
                    break
            check_full(server, model, disk, first + 5000)
            if turn:
                server.kill()
                disk.free()
                server.start()
                model.compare(f'after the crash of turn {turn}')
            else:
                disk.free()
            check_recovery(server, model, first + 6000)
            model.compare(f'turn {turn}')
        server.stop(timeout=20)
        subprocess.run([program, 'check', server.directory], check=True, stdout=subprocess.DEVNULL)
        server.start()
        model.compare('at last')
        server.stop(timeout=20)


main(run)
