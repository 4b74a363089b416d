#!/usr/bin/env python3
"""Beside MongoDB: the API refuses every write to a fed collection, by name and by alias, and changes nothing;
collections of its own are written as in standalone mode. Internal collections are there for operators only."""
import os
import random
import subprocess
import time

import seventv
from tailfin import KEY, ROOT, Failure, Mongo, Scratch, Tailfin, check, main, seed

MINE = {'name': 'mine', 'fields': [{'name': 'a', 'type': 'string'}]}


def expect(server, status, method, path, body=None):
    got, answer = server.ask(method, path, body)
    check(got == status, f'{method} {path}: {got} in place of {status}: {answer}')
    return answer


def check_internal(server):
    """What is not for the API answers as if it were not there, by name and by alias."""
    status = expect(server, 200, 'GET', '/admin/status')
    internal = ('entitlement_edges', 'tailfin_dead_letters')
    for name in internal:
        check(any(c['name'] == name for c in status['collections']), f'{name} is not in the status')
        check(name not in [c['name'] for c in expect(server, 200, 'GET', '/collections')], f'{name} is listed')
        expect(server, 200, 'PUT', '/aliases/hidden', {'collection_name': name})
        for path in (f'/collections/{name}', '/collections/hidden'):
            docs = f'{path}/documents'
            expect(server, 404, 'GET', path)
            expect(server, 404, 'GET', f'{docs}/search?q=*')
            expect(server, 404, 'GET', f'{docs}/x')
            expect(server, 404, 'GET', f'{docs}/export')
            expect(server, 404, 'GET', f'{path}/overrides')
            expect(server, 404, 'POST', docs, {'id': 'x'})
            expect(server, 404, 'POST', f'{docs}/import', b'{"id":"x"}')
            expect(server, 404, 'PATCH', f'{docs}/x', {'a': 1})
            expect(server, 404, 'DELETE', f'{docs}/x')
            expect(server, 404, 'DELETE', f'{docs}?filter_by=*')
            expect(server, 404, 'PATCH', path, {'fields': [{'name': 'x', 'type': 'string', 'optional': True}]})
            expect(server, 404, 'DELETE', path)
        expect(server, 404, 'POST', f'/collections?src_name={name}', {'name': 'copy'})
        expect(server, 409, 'POST', '/collections', {**MINE, 'name': name})
        answer = expect(server, 200, 'POST', '/multi_search', {'searches': [{'collection': name, 'q': '*'}]})
        check(answer['results'][0]['code'] == 404, f'multi_search sees {name}: {answer}')
    expect(server, 400, 'POST', '/collections', {**MINE, 'name': 'mine2', 'metadata': {'internal': True}})
    check(server.export('entitlement_edges'), 'no edges for who asks for them')
    expect(server, 200, 'DELETE', '/aliases/hidden')


def wait_for(what, seen, timeout=60):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        result = seen()
        if result:
            return result
        time.sleep(0.1)
    raise Failure(f'{what}: not within {timeout} s')


def check_operators(server, program, shell):
    """Dead letters come and go; metrics are there; the command line rebuilds and shows it."""
    letters = expect(server, 200, 'GET', '/admin/dead_letters')
    check(letters['count'] == 0, f'dead letters from the start: {letters}')
    shell.run({'insert': 'emotes', 'documents': [{'_id': 'no ulid'}]})
    letters = wait_for('a dead letter', lambda: (lambda l: l['count'] and l)(server.ask('GET', '/admin/dead_letters')[1]))
    letter = letters['letters'][0]
    check(letter['target'] == 'index' and letter['collection'] == 'emotes' and 'no ulid' in letter['id'] and letter['reason'],
          f'dead letter {letter}')
    status = expect(server, 200, 'GET', '/admin/status')['source']
    check(status['dead_letters']['count'] == 1 and status['lag_s'] is not None and status['state_since_s'], f'status {status}')
    check('tailfin_dead_letters 1\n' in expect(server, 200, 'GET', '/metrics'), 'no dead letter in the metrics')
    shell.run({'delete': 'emotes', 'deletes': [{'q': {'_id': 'no ulid'}, 'limit': 1}]})
    wait_for('an empty list', lambda: server.ask('GET', '/admin/dead_letters')[1]['count'] == 0)
    metrics = expect(server, 200, 'GET', '/metrics')
    for line in ('tailfin_event_outcomes_total{operation="insert",outcome="bad"} 1',
                 'tailfin_collection_documents{collection="emotes"} ', 'tailfin_lag_seconds ', 'tailfin_source_connected 1'):
        check('\n' + line in metrics, f'no line {line} in the metrics')
    generation = {c['name']: c['generation'] for c in expect(server, 200, 'GET', '/admin/status')['collections']}
    for flags in ([], ['--force']):
        done = subprocess.run([program, 'reindex', 'emotes', '--wait', '--api-key', KEY, '--url',
                               f'http://127.0.0.1:{server.port}', *flags], capture_output=True, text=True, timeout=120)
        check(done.returncode == 0 and 'done' in done.stdout and 'emotes' in done.stdout, f'{done}')
    after = {c['name']: c['generation'] for c in expect(server, 200, 'GET', '/admin/status')['collections']}
    check(after['emotes'] > generation['emotes'] and after['users'] == generation['users'], f'{generation} {after}')
    expect(server, 400, 'POST', '/admin/reindex?force=perhaps')
    expect(server, 404, 'POST', '/admin/reindex?collections=nothing')


def run(program):
    rng = seed()
    with Scratch() as scratch, Mongo(scratch + '/mongodb') as mongo:
        shell = seventv.Shell(ROOT, mongo.uri, 'journey')
        seventv.Application(shell, random.Random(rng.random())).fill(50)
        server = Tailfin(program, os.path.join(scratch, 'index'), '--mongodb-uri', mongo.uri)
        server.start()
        before = server.export('emotes')
        check(before, 'no emotes')
        one = next(iter(before))
        schema = expect(server, 200, 'GET', '/collections/emotes')
        expect(server, 200, 'PUT', '/aliases/other', {'collection_name': 'emotes'})
        for name in ('emotes', 'other'):
            docs = f'/collections/{name}/documents'
            expect(server, 409, 'POST', docs, {'id': 'x'})
            expect(server, 409, 'POST', f'{docs}?action=upsert', before[one])
            expect(server, 409, 'POST', f'{docs}/import', b'{"id":"x"}')
            expect(server, 409, 'PATCH', f'{docs}/{one}', {'default_name': 'x'})
            expect(server, 409, 'DELETE', f'{docs}/{one}')
            expect(server, 409, 'DELETE', f'{docs}/nope?ignore_not_found=true')
            expect(server, 409, 'DELETE', f'{docs}?filter_by=*')
            expect(server, 409, 'PATCH', f'{docs}?filter_by=*', {'default_name': 'x'})
            expect(server, 409, 'PATCH', f'/collections/{name}',
                   {'fields': [{'name': 'x', 'type': 'string', 'optional': True}]})
            expect(server, 409, 'DELETE', f'/collections/{name}')
        expect(server, 409, 'POST', '/collections', {**MINE, 'name': 'emotes'})
        check(server.export('emotes') == before, 'a refused write changed something')
        check(expect(server, 200, 'GET', '/collections/emotes') == schema, 'a refused change changed something')
        check_internal(server)
        expect(server, 201, 'POST', '/collections', MINE)
        expect(server, 201, 'POST', '/collections/mine/documents', {'id': '1', 'a': 'x'})
        server.kill()
        server.start()
        check(server.export('mine') == {'1': {'id': '1', 'a': 'x'}}, 'a write beside MongoDB was lost')
        check(server.export('emotes') == before, 'the fed collection changed over a restart')
        check_operators(server, program, shell)
        server.stop()
        shell.close()


main(run)
