#!/usr/bin/env python3
"""The write half of the API over the wire: status, shape and effect of every endpoint."""
import base64
import gzip
import hashlib
import hmac
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse

from tailfin import KEY, Scratch, Tailfin, check, main

SCHEMA = {'name': 'things', 'default_sorting_field': 'rank',
          'fields': [{'name': 'name', 'type': 'string'}, {'name': 'rank', 'type': 'int32'},
                     {'name': 'owner', 'type': 'string', 'optional': True, 'facet': True},
                     {'name': 'tags', 'type': 'string[]', 'optional': True}]}
DOCS = '/collections/things/documents'


def is_error(status, answer, expected):
    check(status == expected, f'status {status} in place of {expected}: {answer}')
    check(isinstance(answer, dict) and list(answer) == ['message'] and answer['message'],
          f'an error is {{"message": text}}: {answer}')


class Api:
    def __init__(self, server):
        self.server = server

    def ok(self, method, path, body=None, status=200, key=KEY):
        got, answer = self.server.ask(method, path, body, key=key)
        check(got == status, f'{method} {path}: {got} in place of {status}: {answer}')
        return answer

    def refused(self, status, method, path, body=None, key=KEY):
        is_error(*self.server.ask(method, path, body, key=key), status)

    def lines(self, path, lines, key=KEY):
        body = '\n'.join(l if isinstance(l, str) else json.dumps(l) for l in lines).encode()
        status, data = self.server.ask('POST', path, body, key=key, raw=True)
        check(status == 200, f'import: {status} {data[:200]}')
        check(not data.endswith(b'\n'), 'an import ends without a newline')
        return [json.loads(l) for l in data.split(b'\n')]


def equal(got, expected, what):
    check(got == expected, f'{what}: {got} in place of {expected}')


def collections(api):
    made = api.ok('POST', '/collections', SCHEMA, 201)
    equal(sorted(made), ['created_at', 'default_sorting_field', 'enable_nested_fields', 'fields', 'name',
                         'num_documents', 'symbols_to_index', 'token_separators'], 'summary keys')
    equal(sorted(made['fields'][0]), ['facet', 'index', 'infix', 'locale', 'name', 'optional', 'sort', 'stem',
                                      'store', 'type'], 'field keys')
    check(abs(made['created_at'] - time.time()) < 60, 'created_at is in seconds')
    equal(api.ok('GET', '/collections/things'), made, 'what was made')
    api.refused(409, 'POST', '/collections', SCHEMA)
    api.refused(400, 'POST', '/collections', {'name': 'x'})
    api.refused(400, 'POST', '/collections', b'{no json')
    api.refused(400, 'POST', '/collections', b'[]')
    api.refused(400, 'POST', '/collections', {'name': 'x', 'fields': [{'name': 'a', 'type': 'nope'}]})
    api.refused(400, 'POST', '/collections', {'name': 'x', 'default_sorting_field': 'b',
                                              'fields': [{'name': 'a', 'type': 'string'}]})
    clone = api.ok('POST', '/collections?src_name=things', {'name': 'clone'}, 201)
    equal((clone['name'], clone['fields'], clone['num_documents']), ('clone', made['fields'], 0), 'the clone')
    api.refused(404, 'POST', '/collections?src_name=nope', {'name': 'clone2'})
    equal([c['name'] for c in api.ok('GET', '/collections')], ['clone', 'things'], 'the list, newest first')
    equal(api.ok('DELETE', '/collections/clone')['name'], 'clone', 'what was dropped')
    api.refused(404, 'DELETE', '/collections/clone')
    api.refused(404, 'GET', '/collections/clone')


def singles(api):
    a = {'id': 'a', 'name': 'first', 'rank': 1, 'owner': 'me', 'extra': {'deep': [1, None, 'x']}}
    equal(api.ok('POST', DOCS, a, 201), a, 'create')
    api.refused(409, 'POST', DOCS, a)
    equal(api.ok('GET', f'{DOCS}/a'), a, 'read back')
    equal(api.ok('PATCH', f'{DOCS}/a', {'rank': 2, 'owner': None}),
          {'id': 'a', 'name': 'first', 'rank': 2, 'extra': a['extra']}, 'patch')
    api.refused(404, 'PATCH', f'{DOCS}/nope', {'rank': 2})
    api.refused(400, 'PATCH', f'{DOCS}/a', {'rank': 'many'})
    b = {'id': 'a', 'name': 'second', 'rank': 3}
    equal(api.ok('POST', f'{DOCS}?action=upsert', b, 201), b, 'upsert replaces the whole')
    equal(api.ok('POST', f'{DOCS}?action=emplace', {'id': 'a', 'rank': 4}, 201), {**b, 'rank': 4}, 'emplace merges')
    equal(api.ok('POST', f'{DOCS}?action=update', {'id': 'a', 'rank': 5}, 201), {**b, 'rank': 5}, 'update merges')
    api.refused(404, 'POST', f'{DOCS}?action=update', {'id': 'b', 'rank': 5})
    api.refused(400, 'POST', f'{DOCS}?action=emplace', {'id': 'b', 'rank': 5})
    api.refused(400, 'POST', f'{DOCS}?action=nope', b)
    api.refused(400, 'POST', f'{DOCS}?dirty_values=nope', b)
    api.refused(400, 'POST', DOCS, {'id': 'b', 'name': 'x'})
    api.refused(400, 'POST', DOCS, {'id': 'b', 'name': 'x', 'rank': '7'})
    api.refused(400, 'POST', DOCS, {'id': 7, 'name': 'x', 'rank': 7})
    api.refused(400, 'POST', DOCS, {'id': '', 'name': 'x', 'rank': 7})
    api.refused(400, 'POST', DOCS, b'{"id":')
    api.refused(400, 'POST', DOCS, b'"text"')
    api.refused(404, 'POST', '/collections/nope/documents', a)
    coerced = api.ok('POST', f'{DOCS}?dirty_values=coerce_or_reject', {'id': 'c', 'name': 5, 'rank': '7'}, 201)
    equal(coerced, {'id': 'c', 'name': '5', 'rank': 7}, 'coerced')
    odd = {'id': 'a/b c?ä', 'name': 'odd', 'rank': 1}
    api.ok('POST', DOCS, odd, 201)
    path = f'{DOCS}/{urllib.parse.quote(odd["id"], safe="")}'
    equal(api.ok('GET', path), odd, 'an id that needs percent-encoding')
    equal(api.ok('DELETE', path), odd, 'delete answers with the document')
    api.refused(404, 'DELETE', path)
    equal(api.ok('DELETE', f'{DOCS}/nope?ignore_not_found=true'), {'id': 'nope'}, 'delete, absence ignored')
    large = {'id': 'large', 'name': 'x' * 300000, 'rank': 1}
    equal(api.ok('POST', DOCS, large, 201), large, 'a document too large for the loop')
    api.ok('DELETE', f'{DOCS}/large')


def numbers(api):
    """Ids that the server makes: decimal, never given twice, not those of others."""
    ids = [api.ok('POST', DOCS, {'name': 'numbered', 'rank': 0}, 201)['id'] for _ in range(3)]
    check(all(i.isdigit() for i in ids) and len(set(ids)) == 3, f'made ids: {ids}')
    ahead = [str(int(ids[-1]) + n) for n in (1, 2, 3, 4)]
    api.lines(f'{DOCS}/import', [{'id': i, 'name': 'chosen', 'rank': 0} for i in ahead])
    made = [api.ok('POST', DOCS, {'name': 'numbered', 'rank': 0}, 201)['id'] for _ in range(3)]
    check(not set(made) & set(ids + ahead), f'{made} were taken: {ids + ahead}')
    equal(len(api.server.export('things')), 12, 'documents')
    equal(api.ok('DELETE', f'{DOCS}?filter_by=rank:0'), {'num_deleted': 10}, 'delete by filter')


def imports(api):
    path = f'{DOCS}/import'
    good = [{'id': f'i{n}', 'name': f'import {n}', 'rank': n} for n in range(5)]
    equal(api.lines(path, good), [{'success': True}] * 5, 'import')
    again = api.lines(path, [json.dumps(good[0]), '', '  \r', 'no json', '[1]', json.dumps(good[1]) + '\r'])
    equal([l['success'] for l in again], [False] * 4, 'refused lines; blank ones answer nothing')
    equal([l['code'] for l in again], [409, 400, 400, 409], 'codes')
    equal([l['document'] for l in again], [json.dumps(good[0]), 'no json', '[1]', json.dumps(good[1])], 'the lines')
    check(all(l['error'] for l in again), 'each has an error')
    equal(api.lines(f'{path}?action=upsert&return_id=true&return_doc=true', [good[0]]),
          [{'document': good[0], 'id': 'i0', 'success': True}], 'return_id, return_doc')
    failed = api.lines(f'{path}?return_id=true', [good[0]])
    equal((failed[0]['code'], failed[0].get('id')), (409, 'i0'), 'return_id of a failure')
    # Later lines see what earlier ones of the same import did.
    seen = api.lines(f'{path}?action=emplace&return_doc=true',
                     [{'id': 'i9', 'name': 'nine', 'rank': 9}, {'id': 'i9', 'rank': 10}, {'id': 'i9', 'owner': 'me'}])
    equal(seen[-1]['document'], {'id': 'i9', 'name': 'nine', 'rank': 10, 'owner': 'me'}, 'merged within one import')
    equal(api.lines(f'{path}?action=update', [{'id': 'i9', 'rank': 11}, {'id': 'i10', 'rank': 1}])[1]['code'], 404,
          'update of what is not there')
    equal(api.lines(f'{path}?dirty_values=coerce_or_drop&return_doc=true&action=upsert',
                    [{'id': 'i9', 'name': 'n', 'rank': 1, 'tags': ['a', 5], 'owner': [1]}])[0]['document'],
          {'id': 'i9', 'name': 'n', 'rank': 1, 'tags': ['a', '5']}, 'dirty values')
    api.refused(400, 'POST', f'{path}?action=nope', b'{}')
    api.refused(400, 'POST', f'{path}?batch_size=0', b'{}')
    api.refused(400, 'POST', f'{path}?batch_size=x', b'{}')
    api.refused(400, 'POST', f'{path}?return_id=maybe', b'{}')
    api.refused(404, 'POST', '/collections/nope/documents/import', b'{}')
    # More than a group, and lines longer than a group.
    many = [{'id': f'm{n}', 'name': 'many', 'rank': 77} for n in range(10000)]
    many[5000]['long'] = 'y' * 3000000
    equal(sum(l['success'] for l in api.lines(f'{path}?batch_size=100', many)), 10000, 'a long import')
    equal(api.ok('GET', f'{DOCS}/m5000'), many[5000], 'a long line')
    equal(api.ok('GET', '/collections/things')['num_documents'], 10008, 'documents')


def encodings(api):
    """Imports in chunks, compressed, and from a client that goes away."""
    path = f'{DOCS}/import?action=upsert'
    lines = b'\n'.join(json.dumps({'id': f'z{n}', 'name': 'encoded', 'rank': 88}).encode() for n in range(3000))
    for headers, body in (({}, (lines[at:at + 7777] for at in range(0, len(lines), 7777))),
                          ({'Content-Encoding': 'gzip'}, gzip.compress(lines))):
        c = api.server.connection()
        c.request('POST', path, body=body, headers={'X-TYPESENSE-API-KEY': KEY, **headers})
        r = c.getresponse()
        data = r.read()
        c.close()
        equal((r.status, data.count(b'{"success":true}')), (200, 3000), f'import with {headers}')
    equal(api.ok('DELETE', f'{DOCS}?filter_by=rank:88'), {'num_deleted': 3000}, 'what was encoded')
    with socket.create_connection(('127.0.0.1', api.server.port)) as s:
        s.sendall(f'POST {path} HTTP/1.1\r\nHost: x\r\nX-TYPESENSE-API-KEY: {KEY}\r\n'
                  f'Content-Length: 100000000\r\n\r\n'.encode() + lines)
    equal(api.ok('GET', f'{DOCS}/a')['id'], 'a', 'a server whose client went away')
    api.ok('DELETE', f'{DOCS}?filter_by=rank:88')


def by_filter(api):
    equal(api.ok('PATCH', f'{DOCS}?filter_by=rank:77', {'owner': 'all'}), {'num_updated': 10000}, 'update by filter')
    equal(api.ok('GET', f'{DOCS}/m7')['owner'], 'all', 'updated')
    api.refused(400, 'PATCH', DOCS, {'owner': 'all'})
    api.refused(400, 'PATCH', f'{DOCS}?filter_by=rank:77', {'rank': 'x'})
    api.refused(400, 'DELETE', DOCS)
    api.refused(400, 'DELETE', f'{DOCS}?filter_by=nope:1')
    api.refused(404, 'DELETE', '/collections/nope/documents?filter_by=rank:77')
    equal(api.ok('DELETE', f'{DOCS}?filter_by=rank:77&batch_size=10'), {'num_deleted': 10000}, 'delete by filter')
    equal(api.ok('DELETE', f'{DOCS}?filter_by=rank:77'), {'num_deleted': 0}, 'none left')
    equal(api.server.ask('GET', f'{DOCS}/m7')[0], 404, 'a deleted document')


def altering(api):
    before = api.server.export('things')
    change = {'fields': [{'name': 'note', 'type': 'string', 'optional': True}, {'name': 'owner', 'drop': True}]}
    answer = api.ok('PATCH', '/collections/things', change)
    equal(answer, change, 'alter echoes')
    names = [f['name'] for f in api.ok('GET', '/collections/things')['fields']]
    equal(names, ['name', 'rank', 'tags', 'note'], 'fields')
    equal(api.server.export('things'), before, 'documents after a change')
    api.refused(404, 'PATCH', '/collections/nope', change)
    api.refused(400, 'PATCH', '/collections/things', {})
    api.refused(400, 'PATCH', '/collections/things', {'fields': []})
    api.refused(400, 'PATCH', '/collections/things', {'fields': [{'name': 'nope', 'drop': True}]})
    api.refused(400, 'PATCH', '/collections/things', {'fields': [{'name': 'note', 'type': 'string'}]})
    # A required field that the documents lack: nothing changes.
    api.refused(400, 'PATCH', '/collections/things', {'fields': [{'name': 'must', 'type': 'string'}]})
    equal([f['name'] for f in api.ok('GET', '/collections/things')['fields']], names, 'fields after a refusal')
    # What is there is indexed by the new field, and numbers go on.
    api.lines(f'{DOCS}/import', [{'id': 'n1', 'name': 'x', 'rank': 55, 'late': 'hello'}])
    api.ok('PATCH', '/collections/things', {'fields': [{'name': 'late', 'type': 'string', 'optional': True}]})
    equal(api.server.search('things', 'hello', query_by='late')['found'], 1, 'found by a field added later')
    ids = {api.ok('POST', DOCS, {'name': 'numbered', 'rank': 0}, 201)['id'] for _ in range(3)}
    check(not ids & set(before), f'{ids} were there before the change')
    api.ok('PATCH', '/collections/things', {'metadata': {'team': 'search'}})
    equal(api.ok('GET', '/collections/things')['metadata'], {'team': 'search'}, 'metadata')


def aliases(api):
    equal(api.ok('PUT', '/aliases/t', {'collection_name': 'things'}), {'collection_name': 'things', 'name': 't'}, 'put')
    equal(api.ok('GET', '/aliases'), {'aliases': [{'collection_name': 'things', 'name': 't'}]}, 'list')
    equal(api.ok('GET', '/collections/t')['name'], 'things', 'an alias answers as its collection')
    api.ok('POST', '/collections/t/documents?action=upsert', {'id': 'via', 'name': 'alias', 'rank': 1}, 201)
    equal(api.ok('DELETE', '/collections/t/documents/via')['id'], 'via', 'writing through an alias')
    api.ok('PUT', '/aliases/t', {'collection_name': 'not there yet'})
    equal(api.server.ask('GET', '/collections/t')[0], 404, 'an alias of nothing')
    api.refused(400, 'PUT', '/aliases/t', {})
    api.refused(400, 'PUT', '/aliases/t', b'no json')
    api.refused(500, 'PUT', '/aliases/things', {'collection_name': 'x'})
    equal(api.ok('DELETE', '/aliases/t'), {'collection_name': 'not there yet', 'name': 't'}, 'drop')
    api.refused(404, 'DELETE', '/aliases/t')
    api.refused(404, 'GET', '/aliases/t')


def scoped(parent, **params):
    text = json.dumps(params).encode()
    digest = base64.b64encode(hmac.new(parent.encode(), text, hashlib.sha256).digest())
    return base64.b64encode(digest + parent[:4].encode() + text).decode()


def keys(api):
    made = api.ok('POST', '/keys', {'description': 'search', 'actions': ['documents:search'], 'collections': ['thi.*']}, 201)
    equal(sorted(made), ['actions', 'autodelete', 'collections', 'description', 'expires_at', 'id', 'value'], 'key')
    equal(made['expires_at'], 64723363199, 'never')
    check(len(made['value']) == 32, 'a random value')
    seen = api.ok('GET', f'/keys/{made["id"]}')
    check('value' not in seen and seen['value_prefix'] == made['value'][:4], f'a key shows four letters: {seen}')
    equal([k['id'] for k in api.ok('GET', '/keys')['keys']], [made['id']], 'keys')
    for bad in ({}, {'actions': ['*'], 'collections': ['*']}, {'description': 'x', 'actions': [], 'collections': ['*']},
                {'description': 'x', 'actions': ['*'], 'collections': 'x'},
                {'description': 'x', 'actions': ['*'], 'collections': ['*'], 'expires_at': 'soon'}):
        api.refused(400, 'POST', '/keys', bad)
    api.refused(409, 'POST', '/keys', {'description': 'x', 'actions': ['*'], 'collections': ['*'], 'value': made['value']})
    search = made['value']
    own = '/documents/search?q=*'
    check(api.ok('GET', f'/collections/things{own}', key=search)['found'] > 0, 'the key searches')
    api.ok('GET', f'/collections/things{own}&x-typesense-api-key={search}', key=None)
    api.refused(401, 'GET', f'/collections?x-typesense-api-key={search}', key=None)
    api.ok('POST', '/collections', {'name': 'other', 'fields': [{'name': 'a', 'type': 'string'}]}, 201)
    api.refused(401, 'GET', f'/collections/other{own}', key=search)
    for method, path, body in (
            ('GET', '/collections', None), ('POST', '/collections', SCHEMA), ('DELETE', '/collections/things', None),
            ('PATCH', '/collections/things', {'metadata': {}}), ('POST', DOCS, {'name': 'x', 'rank': 1}),
            ('GET', f'{DOCS}/n1', None), ('PATCH', f'{DOCS}/n1', {'rank': 1}), ('DELETE', f'{DOCS}/n1', None),
            ('DELETE', f'{DOCS}?filter_by=rank:55', None), ('PATCH', f'{DOCS}?filter_by=rank:55', {'rank': 1}),
            ('POST', f'{DOCS}/import', b'{}'), ('GET', f'{DOCS}/export', None), ('GET', '/keys', None),
            ('POST', '/keys', {'description': 'x', 'actions': ['*'], 'collections': ['*']}), ('DELETE', '/keys/0', None),
            ('PUT', '/aliases/x', {'collection_name': 'things'}), ('DELETE', '/aliases/x', None), ('GET', '/aliases', None),
            ('POST', '/operations/snapshot?snapshot_path=/tmp/never', None), ('GET', '/metrics.json', None),
            ('GET', '/stats.json', None), ('GET', '/debug', None), ('POST', '/config', {})):
        api.refused(401, method, path, body, key=search)
        api.refused(401, method, path, body, key='wrong')
        api.refused(401, method, path, body, key=None)
    # A scoped key keeps within its filter, whatever the request says.
    inside = scoped(search, filter_by='rank:55')
    equal([h['document']['id'] for h in api.ok('GET', f'/collections/things{own}', key=inside)['hits']], ['n1'], 'scoped')
    for escape in ('rank:>=0', 'rank:>=0 || rank:<0', 'rank:5) || (rank:>=0', 'id:!=zzz', '(rank:>=0', 'rank:>=0)'):
        p = urllib.parse.urlencode({'filter_by': escape})
        status, answer = api.server.ask('GET', f'/collections/things{own}&{p}', key=inside)
        check(status == 400 or [h['document']['id'] for h in answer['hits']] == ['n1'], f'{escape}: {answer}')
        status, answer = api.server.ask('POST', f'/multi_search?{p}', {'searches': [
            {'collection': 'things', 'q': '*', 'filter_by': escape}]}, key=inside)
        check(status == 400 or [h['document']['id'] for h in answer['results'][0].get('hits', [])] in ([], ['n1']),
              f'{escape}: {answer}')
    api.refused(401, 'GET', f'/collections/other{own}', key=inside)
    api.refused(401, 'GET', f'{DOCS}/n1', key=inside)
    api.refused(401, 'DELETE', f'{DOCS}/n1', key=inside)
    api.refused(401, 'GET', f'/collections/things{own}', key=scoped('not the parent', filter_by='rank:55'))
    api.refused(401, 'GET', f'/collections/things{own}', key=scoped(search, expires_at=1))
    forged = base64.b64decode(inside)
    api.refused(401, 'GET', f'/collections/things{own}',
                key=base64.b64encode(forged.replace(b'rank:55', b'rank:>')).decode())
    equal(api.ok('DELETE', f'/keys/{made["id"]}'), {'id': made['id']}, 'drop a key')
    api.refused(404, 'DELETE', f'/keys/{made["id"]}')
    api.refused(404, 'DELETE', '/keys/nope')
    api.refused(401, 'GET', f'/collections/things{own}', key=search)
    api.refused(401, 'GET', f'/collections/things{own}', key=inside)
    old = api.ok('POST', '/keys', {'description': 'x', 'actions': ['*'], 'collections': ['*'], 'expires_at': 1}, 201)
    api.refused(401, 'GET', '/collections', key=old['value'])
    api.ok('DELETE', '/collections/other')
    return [search, inside, old['value'], KEY]


def operations(api, scratch):
    for path in ('vote', 'cache/clear', 'db/compact', 'reset_peers'):
        check('success' in api.ok('POST', f'/operations/{path}'), path)
    equal(api.ok('POST', '/config', {'log-slow-requests-time-ms': 5}, 201), {'success': True}, 'config')
    api.refused(400, 'POST', '/operations/snapshot')
    api.refused(400, 'POST', '/operations/snapshot?snapshot_path=relative')
    copy = os.path.join(scratch, 'copy')
    equal(api.ok('POST', f'/operations/snapshot?snapshot_path={copy}', status=201), {'success': True}, 'snapshot')
    api.refused(409, 'POST', f'/operations/snapshot?snapshot_path={copy}')
    return copy


def reading(api):
    equal(api.ok('GET', '/debug'), {'state': 1, 'version': '27.1'}, 'debug')
    equal(api.ok('GET', '/health', key=None), {'ok': True}, 'health')
    stats = api.ok('GET', '/stats.json')
    for kind in ('write', 'import', 'delete', 'search', 'total'):
        check(stats[f'{kind}_requests_per_second'] > 0, f'{kind}: {stats}')
    for route in ('GET /debug', 'GET /collections/things/documents/search', 'GET /collections/things/documents/:id'):
        check(stats['requests_per_second'].get(route, 0) > 0 and stats['latency_ms'][route] > 0, f'{route}: {stats}')
    machine = api.ok('GET', '/metrics.json')
    check(all(isinstance(v, str) for v in machine.values()), 'metrics.json holds texts')
    for name in ('system_cpu_active_percentage', 'system_cpu1_active_percentage', 'system_network_sent_bytes',
                 'typesense_memory_resident_bytes'):
        float(machine[name])


def tool(program, *words):
    return subprocess.run([program, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def restore(program, scratch, copy, before):
    """A snapshot becomes a data directory: whole or not at all, and never over another."""
    target = os.path.join(scratch, 'restored')
    done = tool(program, 'restore', copy, '--data-dir', target)
    check(done.returncode == 0, f'restore: {done.stdout}')
    server = Tailfin(program, target)
    server.start()
    equal(server.export('things'), before, 'documents of the restored directory')
    refused = tool(program, 'restore', copy, '--data-dir', target)
    check(refused.returncode == 1, 'restored into a directory that is served')
    server.stop()
    refused = tool(program, 'restore', copy, '--data-dir', target)
    check(refused.returncode == 1 and 'not empty' in refused.stdout, f'restored over an index: {refused.stdout}')
    for bad in (os.path.join(scratch, 'nothing'), scratch):
        refused = tool(program, 'restore', bad, '--data-dir', os.path.join(scratch, 'other'))
        check(refused.returncode == 1 and 'error' in refused.stdout, f'restored from {bad}: {refused.stdout}')
    broken = os.path.join(scratch, 'broken')
    shutil.copytree(copy, broken)
    victim = max((os.path.join(broken, n) for n in os.listdir(broken)), key=os.path.getsize)
    with open(victim, 'r+b') as f:
        f.seek(os.path.getsize(victim) // 2)
        byte = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte[0] ^ 1]))
    other = os.path.join(scratch, 'other')
    refused = tool(program, 'restore', broken, '--data-dir', other)
    check(refused.returncode == 1, f'restored a damaged snapshot: {refused.stdout}')
    check(not os.path.exists(other), 'a damaged snapshot left a directory behind')


def run(program):
    with Scratch() as scratch:
        server = Tailfin(program, os.path.join(scratch, 'index'), '--log-level', 'debug', '--slow-search-ms', '1')
        server.start()
        api = Api(server)
        collections(api)
        singles(api)
        numbers(api)
        imports(api)
        encodings(api)
        by_filter(api)
        altering(api)
        aliases(api)
        secrets = keys(api)
        copy = operations(api, scratch)
        reading(api)
        before = server.export('things')
        summary = api.ok('GET', '/collections/things')
        server.stop()
        server.start()
        equal(server.export('things'), before, 'documents after a restart')
        equal(api.ok('GET', '/collections/things'), summary, 'the collection after a restart')
        server.stop()
        with open(server.log_path, errors='replace') as f:
            log = f.read()
        for secret in secrets:
            check(secret not in log, 'a key is in the log')
        restore(program, scratch, copy, before)
        # The copy is an index of its own.
        other = Tailfin(program, copy)
        other.start()
        equal(other.export('things'), before, 'documents of the snapshot')
        other.stop()


main(run)
