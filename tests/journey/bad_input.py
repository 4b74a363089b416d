#!/usr/bin/env python3
"""Bad input: 1,000 malformed requests get a clear 4xx (or a closed connection, never an answer of success), and
100 malformed documents in MongoDB are indexed as far as possible or counted; nothing stalls, nothing else is lost."""
import json
import os
import random
import socket
import time

import seventv
from tailfin import KEY, ROOT, Mongo, Scratch, Tailfin, check, main, scale, seed

GOOD = '/collections/emotes/documents/search?q=kappa&query_by=default_name'
AUTH = f'X-TYPESENSE-API-KEY: {KEY}\r\n'


def exchange(port, data):
    """The first line of the answer; '' if the server closed without one."""
    with socket.create_connection(('127.0.0.1', port), timeout=10) as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answer = b''
        try:
            while True:
                piece = s.recv(65536)
                if not piece:
                    break
                answer += piece
        except ConnectionResetError:
            pass
    return answer.split(b'\r\n', 1)[0].decode('latin-1'), answer


def get(path):
    return f'GET {path} HTTP/1.1\r\nHost: x\r\n{AUTH}Connection: close\r\n\r\n'.encode('utf-8', 'surrogateescape')


def post(path, body, extra=''):
    body = body if isinstance(body, bytes) else body.encode()
    return f'POST {path} HTTP/1.1\r\nHost: x\r\n{AUTH}Connection: close\r\nContent-Length: {len(body)}\r\n{extra}\r\n'.encode() + body


def bad_http(rng):
    return rng.choice([
        lambda: b'GET\r\n\r\n',
        lambda: b'GET / HTTP/9.9\r\nHost: x\r\n\r\n',
        lambda: f'GET {GOOD} HTTP/1.1\r\n{AUTH}\r\n'.encode(),                               # no Host
        lambda: f'GET {GOOD} HTTP/1.1\r\nHost: x\r\nHost: y\r\n{AUTH}\r\n'.encode(),
        lambda: f'GET {GOOD} HTTP/1.1\r\nHost : x\r\n{AUTH}\r\n'.encode(),
        lambda: f'GET {GOOD} HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n{AUTH}\r\n'.encode(),      # folded
        lambda: f'GET {GOOD} HTTP/1.1\nHost: x\n{AUTH}\n'.encode(),                          # bare LF
        lambda: f'POST /multi_search HTTP/1.1\r\nHost: x\r\n{AUTH}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}'.encode(),
        lambda: f'POST /multi_search HTTP/1.1\r\nHost: x\r\n{AUTH}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{{}}'.encode(),
        lambda: f'POST /multi_search HTTP/1.1\r\nHost: x\r\n{AUTH}Content-Length: -2\r\n\r\n{{}}'.encode(),
        lambda: f'POST /multi_search HTTP/1.1\r\nHost: x\r\n{AUTH}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n'.encode(),
        lambda: f'GET {GOOD} HTTP/1.1\r\nHost: x\r\nX: {"y" * 20000}\r\n{AUTH}\r\n'.encode(),
        lambda: get('/collections/emotes/documents/search?q=' + 'a' * 4100 + '&query_by=default_name'),
        lambda: rng.randbytes(rng.randrange(1, 400)) + b'\r\n\r\n',
        lambda: b'GET / HTTP/1.1\r\nHost: x\r\nA\x00B: c\r\n\r\n',
    ])()


def bad_search(rng):
    junk = ''.join(rng.choice('(){}[]:&|=<>!`*,.x1 ') for _ in range(rng.randrange(1, 30)))
    from urllib.parse import quote
    base = '/collections/emotes/documents/search?q=kappa&query_by=default_name'
    return get(rng.choice([
        lambda: '/collections/emotes/documents/search',
        lambda: '/collections/emotes/documents/search?q=x',
        lambda: '/collections/emotes/documents/search?q=x&query_by=nope',
        lambda: '/collections/emotes/documents/search?q=x&query_by=deleted',
        lambda: '/collections/nope/documents/search?q=x&query_by=a',
        lambda: base + '&per_page=' + rng.choice(['-1', '251', 'x', '1e3', '99999999999999999999']),
        lambda: base + '&page=' + rng.choice(['-1', 'x', '99999999999999999999']),
        lambda: base + '&filter_by=' + quote(rng.choice(['deleted', 'deleted:', 'nope:1', 'score_top_all_time:abc',
                                                         'deleted:maybe', '((deleted:true)', 'deleted:true &&',
                                                         'score_top_all_time:[1', '(' * 300, 'a:1 || ' * 200 + 'a:1',
                                                         'zzz' + junk])),
        lambda: base + '&sort_by=' + quote(rng.choice(['nope:desc', 'default_name:asc', 'score_top_all_time:up',
                                                       'a:asc,b:asc,c:asc,d:asc', 'score_top_all_time'])),
        lambda: base + '&query_by_weights=1,2,3',
        lambda: base + '&prefix=true,false,true',
        lambda: base + '&num_typos=a',
        lambda: base + '&facet_by=nope',
        lambda: base + '&group_by=nope',
        lambda: base + '&infix=always',
        lambda: base + '&pinned_hits=x',
        lambda: base + '&drop_tokens_mode=sideways',
        lambda: '/nope/' + quote(junk),
    ])())


def bad_multi(rng):
    return post('/multi_search', rng.choice([
        lambda: '{', lambda: '', lambda: '[]', lambda: '1', lambda: '{"searches":{}}', lambda: '{"searches":[1]}',
        lambda: '{"searches":[' + '{"collection":"emotes","q":"*"},' * 60 + '{}]}',
        lambda: '{"searches":[{"collection":"emotes","q":["a"]}]}',
        lambda: '[' * 2000, lambda: rng.randbytes(100), lambda: '{"searches":[]}',
        lambda: json.dumps({'searches': []})[:-1],
    ])())


def bad_write(rng):
    """Documents of fed collections are MongoDB's."""
    return rng.choice([
        lambda: post('/collections/emotes/documents', '{"id":"x"}'),
        lambda: post('/collections/emotes/documents/import', '{"id":"x"}\n'),
        lambda: post('/collections', '{"name":'),
        lambda: post('/collections', '{"name":"x","fields":[{"name":"a","type":"nope"}]}'),
        lambda: post('/admin/reindex', '{"collections":["nope"]}'),
        lambda: post('/admin/reindex', '{"collections":1}'),
        lambda: post('/keys', '{}'),
        lambda: f'DELETE /collections/emotes HTTP/1.1\r\nHost: x\r\n{AUTH}Connection: close\r\n\r\n'.encode(),
    ])()


def malformed_documents(application, rng):
    """100 documents that are wrong in one way each; the ids of those that can be indexed in part."""
    kinds = []
    for i in range(100):
        d = application.new('emotes')
        k = i % 10
        if k == 0:
            del d['default_name']
        elif k == 1:
            d['default_name'] = {'$numberInt': '5'}
        elif k == 2:
            d['scores'] = 'none'
        elif k == 3:
            d['default_name'] = 'L' * 100_000
        elif k == 4:
            d['tags'] = [None, 7, 'fine', {'a': 1}]
        elif k == 5:
            d['flags'] = {'$numberDouble': '3.0'}
        elif k == 6:
            d['_id'] = {'$oid': '%024x' % (i + 1)}   # an id that the profile cannot name
        elif k == 7:
            d['owner_id'] = None
            d['merged'] = 'yes'
        elif k == 8:
            d['updated_at'] = 'yesterday'
        else:
            d = {'_id': d['_id']}
        kinds.append((k, d))
    return kinds


def check_requests(server, rng, n):
    statuses = {}
    for _ in range(n):
        data = rng.choice([bad_http, bad_search, bad_search, bad_multi, bad_write])(rng)
        line, answer = exchange(server.port, data)
        status = line.split(' ')[1] if line.startswith('HTTP/1.') else 'closed'
        statuses[status] = statuses.get(status, 0) + 1
        check(status == 'closed' or status[0] == '4' or status == '505', f'{data[:300]!r} -> {line} {answer[:500]!r}')
        if status[0] == '4':
            body = answer.split(b'\r\n\r\n', 1)[1]
            check(json.loads(body).get('message'), f'{data[:200]!r}: no message in {body[:300]!r}')
    print(f'{n} malformed requests: {statuses}')
    check(statuses.get('closed', 0) < n / 20, 'too many connections closed without an answer')


def run(program):
    rng = seed()
    with Scratch() as scratch, Mongo(scratch + '/mongodb') as mongo:
        shell = seventv.Shell(ROOT, mongo.uri, 'journey')
        application = seventv.Application(shell, random.Random(rng.random()))
        application.fill(200)
        server = Tailfin(program, scratch + '/index', '--mongodb-uri', mongo.uri)
        server.start()
        check(not seventv.settle(server, shell), 'the bootstrap is complete')
        check_requests(server, rng, scale('TAILFIN_REQUESTS', 1000))

        good = set(application.ids['emotes'][i]['$binary']['base64'] for i in range(len(application.ids['emotes'])))
        for k, d in malformed_documents(application, rng):
            application.insert('emotes', [d])
        # 16 MB, most of it in a part that search does not read.
        big = application.new('emotes')
        big['image_set'] = {'outputs': ['x' * (1 << 20)] * 15}
        application.insert('emotes', [big])
        last = application.new('emotes')
        last['default_name'] = 'thelastoneofall'
        application.insert('emotes', [last])
        end = time.monotonic() + 20
        while not server.search('emotes', 'thelastoneofall', query_by='default_name', num_typos=0)['found']:
            check(time.monotonic() < end, 'a malformed document stalls the index:\n' + server.tail())
            time.sleep(0.05)
        there = server.export('emotes')
        check(seventv.ulid(big['_id']) in there, 'the 16 MB document is indexed')
        n_there = sum(1 for id in there)
        expected = len(good) + 100 + 2 - 10  # all but those without a usable _id
        check(n_there == expected, f'{n_there} emotes are there, {expected} should be:\n' + server.tail())
        status, metrics = server.ask('GET', '/metrics')
        counted = [l for l in metrics.splitlines() if l.startswith('tailfin_bad_documents_total ')]
        check(counted and float(counted[0].split()[1]) >= 50, f'bad documents are counted: {counted}')
        print(f'100 malformed documents: {n_there} of {n_there + 10} indexed, {counted[0]}')
        for n, collection in ((200, 'users'),):
            check(len(server.export(collection)) == n, f'{collection} are untouched')
        server.stop()
        shell.close()


main(run)
