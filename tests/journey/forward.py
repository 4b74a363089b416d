#!/usr/bin/env python3
"""Serving from Typesense, and comparing with it. A second Tailfin in standalone mode plays Typesense; with
TYPESENSE_URL and TYPESENSE_API_KEY set a real one does, too, for as much as holds for both.

What is forwarded answers as the other side does; keys are checked on this side and cannot be got around; requests
are shared, nodes that fail are left; shadow mode and `tailfin compare` find exactly the disagreements that were made.
"""
import base64
import hashlib
import hmac
import http.client
import http.server
import json
import os
import signal
import subprocess
import threading
import time
import urllib.parse

from tailfin import Scratch, Tailfin, check, environment, free_port, main, seed

UP_KEY = 'the-key-of-typesense'
SEARCH_KEY = 'search-only-key'
WORDS = 'kappa pepe happy sad cat dog dance clap love hype wow omega monka blob ez gg'.split()
SCHEMA = {'name': 'things', 'default_sorting_field': 'rank',
          'fields': [{'name': 'name', 'type': 'string'}, {'name': 'rank', 'type': 'int32'},
                     {'name': 'owner', 'type': 'string', 'facet': True},
                     {'name': 'tags', 'type': 'string[]', 'facet': True}]}


def document(rng, number):
    return {'id': f'd{number}', 'name': ' '.join(rng.choice(WORDS) for _ in range(rng.randint(1, 4))) + f' {number}',
            'rank': rng.randint(0, 1000), 'owner': f'o{number % 5}', 'tags': rng.sample(WORDS, 2)}


def fill(server, documents):
    for name in ('things', 'others'):
        status, answer = server.ask('POST', '/collections', {**SCHEMA, 'name': name}, key=server.key)
        check(status == 201, f'create: {status} {answer}')
        body = '\n'.join(json.dumps(d) for d in documents).encode()
        status, answer = server.ask('POST', f'/collections/{name}/documents/import?action=upsert', body,
                                    key=server.key, raw=True)
        check(status == 200 and b'false' not in answer, f'import: {status} {answer[:300]}')
    status, answer = server.ask('PUT', '/aliases/things-alias', {'collection_name': 'things'}, key=server.key)
    check(status == 200, f'alias: {status} {answer}')


def typesense(program, scratch, name, documents, *flags):
    server = Tailfin(program, os.path.join(scratch, name), *flags)
    server.flags = (*flags, '--api-key', UP_KEY)
    server.key = UP_KEY
    server.start()
    fill(server, documents)
    return server


def forwarding(program, scratch, name, urls, *flags):
    return Tailfin(program, os.path.join(scratch, name), '--serve-from', 'typesense', '--typesense-url', urls,
                   '--typesense-api-key', UP_KEY, '--search-api-key', SEARCH_KEY, *flags)


def url_of(server):
    return f'http://127.0.0.1:{server.port}'


def path(collection='things', **params):
    return f'/collections/{collection}/documents/search?' + urllib.parse.urlencode(params)


def plain(answer):
    """Without what differs from one asking to the next."""
    if isinstance(answer, dict):
        return {k: plain(v) for k, v in answer.items() if k not in ('search_time_ms', 'created_at')}
    return [plain(a) for a in answer] if isinstance(answer, list) else answer


def metric(server, name):
    status, text = server.ask('GET', '/metrics', key=server.key, raw=True)
    check(status == 200, f'metrics: {status}')
    for line in text.decode().splitlines():
        if line.startswith(name + ' '):
            return float(line.split()[1])
    raise KeyError(name)


def searches(rng, n):
    """Parameters of n searches of every kind."""
    out = []
    for _ in range(n):
        p = {'q': rng.choice([*WORDS, '*', 'kap', 'hapyp', 'pepe clap', 'x&y=z', 'é'])}
        p['query_by'] = rng.choice(['name', 'name,tags'])
        if rng.random() < 0.5:
            p['filter_by'] = rng.choice(['rank:>500', 'owner:=o1', 'tags:=[`cat`,dog] && rank:<700',
                                         '(owner:o1 || owner:o2) && rank:[0..300]'])
        if rng.random() < 0.3:
            p['sort_by'] = rng.choice(['rank:asc', '_text_match:desc,rank:desc'])
        if rng.random() < 0.3:
            p['facet_by'] = rng.choice(['owner', 'tags,owner'])
        if rng.random() < 0.3:
            p['group_by'] = 'owner'
        if rng.random() < 0.3:
            p['per_page'] = rng.choice([1, 3, 50])
        out.append(p)
    return out


# ---- equal answers ----

def test_equal(rng, direct, proxy):
    paths = [path(**p) for p in searches(rng, 60)]
    paths += ['/collections', '/collections/things', '/collections/absent', '/collections/things/documents/d7',
              '/collections/things/documents/none', '/collections/things/documents/d7?include_fields=name',
              '/aliases', '/aliases/things-alias', '/aliases/none', '/presets', '/stopwords', '/limits',
              '/collections/things/overrides', '/collections/things/synonyms', '/collections?exclude_fields=fields',
              path(q='cat', query_by='absent'), path(q='cat', query_by='name', filter_by='rank:>>'),
              path('things-alias', q='cat', query_by='name'), path('absent', q='cat', query_by='name'),
              '/collections/th%69ngs/documents/search?q=c%61t&query_by=name&q=dog']
    for p in paths:
        a, b = direct.ask('GET', p, key=UP_KEY), proxy.ask('GET', p)
        check((a[0], plain(a[1])) == (b[0], plain(b[1])), f'{p}:\n{a}\n{b}')
    for i in range(15):
        body = {'searches': [{**p, 'collection': rng.choice(['things', 'others', 'absent'])}
                             for p in searches(rng, 1 + i % 4)]}
        common = rng.choice(['', '?per_page=2', '?query_by=name&filter_by=rank:>300', '?collection=things'])
        a = direct.ask('POST', '/multi_search' + common, body, key=UP_KEY)
        b = proxy.ask('POST', '/multi_search' + common, body)
        check((a[0], plain(a[1])) == (b[0], plain(b[1])), f'{common} {body}:\n{a}\n{b}')
    for p in ('', '?filter_by=rank:>500', '?include_fields=name'):
        a = direct.ask('GET', f'/collections/things/documents/export{p}', key=UP_KEY, raw=True)
        b = proxy.ask('GET', f'/collections/things/documents/export{p}', raw=True)
        check(a == b, f'export{p}')
    check(proxy.ask('GET', '/collections/absent/documents/export')[0] == 404, 'export of nothing')
    # What only Tailfin knows stays here.
    status, answer = proxy.ask('GET', path(q='cat', query_by='name', match='full'))
    check(status == 200 and answer['found'] > 0, f'match=full: {status} {answer}')


# ---- keys ----

def scoped(parent, **params):
    text = json.dumps(params)
    digest = base64.b64encode(hmac.new(parent.encode(), text.encode(), hashlib.sha256).digest()).decode()
    return base64.b64encode(f'{digest}{parent[:4]}{text}'.encode()).decode()


ESCAPES = ['owner:o2', 'owner:=o2) || (owner:=o2', ') || (id:*', 'rank:>0) || (rank:>0', 'name:`a) || (rank:>0`',
           'owner:o1 || owner:o2', 'rank:>0 || (owner:o2)', '(rank:>0', 'rank:>0)', 'rank:>0))', 'f:(( ) ) || rank:(( ',
           'name:`', 'name:=`x` || rank:>0) || (rank:>=0', '$others(rank:>0)', 'id:*', 'rank:>0 &&', '|| rank:>0',
           'rank:>0 || rank:>0', '\\) || (rank:>0', 'name:(a) || (b)) || (rank:>0']


def documents_of(answer):
    hits = list(answer.get('hits', []))
    for group in answer.get('grouped_hits', []):
        hits += group['hits']
    return [h['document'] for h in hits]


def check_scope(status, answer, what):
    check(status in (200, 400), f'{what}: {status} {answer}')
    for result in answer.get('results', [answer]):
        for d in documents_of(result):
            check(d['owner'] == 'o1', f'{what}: a document of somebody else: {d}')
        for f in result.get('facet_counts', []):
            check({c['value'] for c in f['counts']} <= {'o1'}, f'{what}: facets of others')


def test_keys(proxy):
    one = path(q='*', query_by='name')
    for key in (None, 'wrong', UP_KEY, SEARCH_KEY[:-1], SEARCH_KEY + 'x'):
        for p in (one, '/collections', '/collections/things/documents/d1', '/keys', '/aliases',
                  '/collections/things/documents/export'):
            status, answer = proxy.ask('GET', p, key=key)
            check(status == 401, f'{key} {p}: {status} {answer}')
        check(proxy.ask('POST', '/multi_search', {'searches': [{'q': '*', 'collection': 'things'}]},
                        key=key)[0] == 401, f'multi_search with {key}')
    check(proxy.ask('GET', one, key=SEARCH_KEY)[0] == 200, 'the search key searches')
    check(proxy.ask('GET', one + '&x-typesense-api-key=' + SEARCH_KEY, key=None)[0] == 200, 'a key in the URL')
    for p in ('/collections', '/collections/things', '/collections/things/documents/d1', '/keys', '/aliases',
              '/collections/things/documents/export', '/admin/status'):
        check(proxy.ask('GET', p, key=SEARCH_KEY)[0] == 401, f'the search key at {p}')
    for p in ('/collections/../documents/search?q=*', '/collections/%2e%2e/documents/search?q=*',
              '/collections/../aliases', '/collections/things/documents/..', '/aliases/..'):
        check(proxy.ask('GET', p)[0] == 404, f'dots at {p}')

    key = scoped(SEARCH_KEY, filter_by='owner:=o1')
    status, answer = proxy.ask('GET', path(q='*', query_by='name', facet_by='owner', per_page=100), key=key)
    check(status == 200 and answer['found'] > 10, f'scoped: {status} {answer}')
    check_scope(status, answer, 'scoped')
    status, narrow = proxy.ask('GET', path(q='*', query_by='name', filter_by='rank:>500 || (rank:<50)'), key=key)
    check(status == 200 and 0 < narrow['found'] < answer['found'], f'scoped and filtered: {status} {narrow}')
    check_scope(status, narrow, 'scoped and filtered')
    for f in ESCAPES:
        for p in (path(q='*', query_by='name', per_page=100, filter_by=f),
                  path(q='*', query_by='name', per_page=100, filter_by=f) + '&filter_by=rank:>0',
                  path(q='*', query_by='name', per_page=100) + '&filter%5Fby=' + urllib.parse.quote(f)):
            check_scope(*proxy.ask('GET', p, key=key), f)
        body = {'searches': [{'q': '*', 'query_by': 'name', 'collection': 'things', 'filter_by': f}]}
        for common in ('', '?filter_by=' + urllib.parse.quote(f)):
            check_scope(*proxy.ask('POST', '/multi_search' + common, body, key=key), f'multi {f} {common}')
    pinned = path(q='*', query_by='name', pinned_hits='d2:1,d3:2', filter_curated_hits='false')
    check_scope(*proxy.ask('GET', pinned, key=key), 'pinned hits')

    # A key for one collection, and every way to name another one.
    status, made = proxy.ask('POST', '/keys', {'description': 'x', 'actions': ['documents:search'],
                                               'collections': ['things']})
    check(status == 201, f'make a key: {status} {made}')
    key = made['value']
    others = {'q': 'cat', 'query_by': 'name', 'collection': 'others'}
    things = {**others, 'collection': 'things'}
    check(proxy.ask('GET', path('others', q='*'), key=key)[0] == 401, 'another collection')
    status, answer = proxy.ask('GET', path(q='*') + '&collection=others', key=key)
    check(status == 200 and answer['request_params']['collection_name'] == 'things', f'{status} {answer}')
    check(proxy.ask('POST', '/multi_search', {'searches': [others]}, key=key)[0] == 401, 'in a body')
    check(proxy.ask('POST', '/multi_search', {'searches': [things, others]}, key=key)[0] == 401, 'beside its own')
    check(proxy.ask('POST', '/multi_search?collection=others', {'searches': [things]}, key=key)[0] == 401, 'in the URL')
    status, answer = proxy.ask('POST', '/multi_search?collection=things', {'searches': [others]}, key=key)
    check(status == 200 and answer['results'][0]['request_params']['collection_name'] == 'things', f'{answer}')
    stray = scoped(key, collection='others')
    check(proxy.ask('POST', '/multi_search', {'searches': [things]}, key=stray)[0] == 401, 'in a scoped key')
    # Several keys in one request.
    mine = scoped(SEARCH_KEY, filter_by='owner:=o1')
    body = {'searches': [{**things, 'q': '*', 'x-typesense-api-key': mine}, {**things, 'q': '*'}]}
    status, answer = proxy.ask('POST', '/multi_search', body, key=SEARCH_KEY)
    check(status == 200 and answer['results'][0]['found'] < answer['results'][1]['found'], f'{status} {answer}')


def test_references(proxy):
    for field in ('filter_by', 'include_fields', 'sort_by'):
        p = path(q='*', query_by='name', **{field: '$others(name:cat)'})
        status, answer = proxy.ask('GET', p, key=SEARCH_KEY)
        check(status == 400, f'reference in {field}: {status} {answer}')


def test_secrecy(program, scratch, up, logs):
    """Typesense's key is in nothing that we say, also when Typesense refuses it."""
    wrong = Tailfin(program, os.path.join(scratch, 'wrong'), '--serve-from', 'typesense', '--typesense-url',
                    url_of(up), '--typesense-api-key', 'not-' + UP_KEY)
    wrong.start()
    status, answer = wrong.ask('GET', path(q='*', query_by='name'))
    check(status == 502 and 'key' in answer['message'], f'{status} {answer}')
    c = wrong.connection()
    seen = b''
    for p in ('/health', '/admin/status', '/stats.json', '/metrics', '/debug', path(q='*')):
        c.request('GET', p, headers={'X-TYPESENSE-API-KEY': 'journey-key'})
        r = c.getresponse()
        seen += str(r.getheaders()).encode() + r.read()
    wrong.stop()
    for log in [*logs, wrong.log_path]:
        with open(log, 'rb') as f:
            seen += f.read()
    for secret in (UP_KEY, SEARCH_KEY):
        check(secret.encode() not in seen, f'{secret} was told')


# ---- one request for many, and nodes that fail ----

class Scripted(http.server.ThreadingHTTPServer):
    """Answers every search after a pause, and knows what it was asked."""
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, pause):
        super().__init__(('127.0.0.1', 0), Answers)
        self.pause, self.asked, self.answer = pause, [], (200, 'application/json', b'{"found":1,"hits":[]}')
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def answer(self):
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        if self.path != '/health':
            self.server.asked.append((self.command, self.path, body, dict(self.headers)))
            time.sleep(self.server.pause)
        status, kind, text = (200, 'application/json', b'{"ok":true}') if self.path == '/health' else self.server.answer
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(text)))
        self.send_header('X-Internal', 'not for clients')
        if status >= 300 and status < 400:
            self.send_header('Location', 'http://127.0.0.1:1/?key=' + UP_KEY)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


def at_once(jobs):
    """Runs all jobs in threads; their results."""
    results = [None] * len(jobs)

    def work(i):
        results[i] = jobs[i]()
    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(jobs))]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    return results


def test_sharing(program, scratch):
    up = Scripted(1.0)
    proxy = forwarding(program, scratch, 'sharing', f'http://127.0.0.1:{up.server_port}', '--threads', '1')
    proxy.start()
    same = path(q='cat', query_by='name')
    a, b = (scoped(SEARCH_KEY, filter_by=f'owner:={o}') for o in ('o1', 'o2'))
    body = {'searches': [{'q': 'cat', 'query_by': 'name', 'collection': 'things'}]}
    got = at_once([lambda: proxy.ask('GET', same)] * 20 + [lambda: proxy.ask('GET', same, key=SEARCH_KEY)] * 5 +
                  [lambda: proxy.ask('GET', same, key=a)] * 5 + [lambda: proxy.ask('GET', same, key=b)] * 5 +
                  [lambda: proxy.ask('POST', '/multi_search', body)] * 5)
    check(all(g == (200, {'found': 1, 'hits': []}) for g in got), f'{got}')
    check(len(up.asked) == 4, f'{len(up.asked)} requests for 4 different ones: {up.asked}')
    check(all(h.get('X-Typesense-Api-Key') == UP_KEY or h.get('X-TYPESENSE-API-KEY') == UP_KEY
              for _, _, _, h in up.asked), 'asked with its key')
    check(all('Cookie' not in h and 'X-Forwarded' not in h for _, _, _, h in up.asked), 'headers of clients')
    n = len(up.asked)
    check(proxy.ask('GET', same)[0] == 200 and len(up.asked) == n + 1, 'nothing is remembered')
    # A client that goes away takes nobody with it.
    gone = proxy.connection()
    gone.request('GET', same, headers={'X-TYPESENSE-API-KEY': 'journey-key'})
    time.sleep(0.1)
    stay = at_once([lambda: proxy.ask('GET', same), lambda: (gone.sock.close(), gone.close())])
    check(stay[0][0] == 200, f'{stay}')
    # Answers that are none.
    up.pause = 0
    for status, kind, text, expected in ((500, 'application/json', b'{"message":"oops"}', 500),
                                         (302, 'text/html', b'x', 503), (200, 'text/html', b'<html>', 503),
                                         (503, 'application/json', b'{"message":"lagging"}', 503),
                                         (401, 'application/json', b'{"message":"who?"}', 502),
                                         (422, 'application/json', b'{"message":"no"}', 422)):
        up.answer = (status, kind, text)
        c = proxy.connection()
        c.request('GET', same, headers={'X-TYPESENSE-API-KEY': 'journey-key'})
        r = c.getresponse()
        answer = r.read()
        check(r.status == expected, f'{status} {kind} became {r.status} {answer}')
        check((expected != 503) or r.getheader('Retry-After') == '1', 'Retry-After')
        check(not r.getheader('X-Internal') and not r.getheader('Location'), 'headers of the other side')
        check(UP_KEY.encode() not in answer, 'the key')
        time.sleep(0.4)  # the node rests after a failure
    proxy.stop()
    up.shutdown()


def test_failover(program, scratch, documents):
    nodes = [typesense(program, scratch, f'node{i}', documents) for i in range(2)]
    proxy = forwarding(program, scratch, 'failover', ', '.join(url_of(n) + '/' for n in nodes),
                       '--forward-timeout-ms', '4000')
    proxy.start()
    status, health = proxy.ask('GET', '/health')
    check(health['upstream']['ok'] and len(health['upstream']['nodes']) == 2, f'{health}')
    results, over = [], threading.Event()

    def load():
        c = proxy.connection()
        n = 0
        while not over.is_set():
            n += 1
            begin = time.monotonic()
            status, _ = proxy.ask('GET', path(q=f'cat {n % 50}', query_by='name'), connection=c)
            results.append((status, time.monotonic() - begin))
    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    time.sleep(0.5)
    nodes[0].kill()
    time.sleep(1)
    nodes[0].start()
    time.sleep(1)
    nodes[1].process.send_signal(signal.SIGSTOP)  # takes connections, says nothing
    time.sleep(5)
    nodes[1].process.send_signal(signal.SIGCONT)
    time.sleep(1)
    over.set()
    for t in threads:
        t.join(30)
    bad = [r for r in results if r[0] != 200]
    check(not bad, f'{len(bad)} of {len(results)} failed: {bad[:5]}')
    slow = [took for _, took in results if took > 1]
    check(len(slow) <= 16, f'{len(slow)} of {len(results)} waited for the silent node')
    print(f'failover: {len(results)} searches, none failed, {len(slow)} waited over 1 s')
    for n in nodes:
        n.kill()
    begin = time.monotonic()
    status, answer = proxy.ask('GET', path(q='cat', query_by='name'))
    check(status == 503 and time.monotonic() - begin < 2, f'{status} {answer}')
    time.sleep(0.7)
    status, health = proxy.ask('GET', '/health')
    check(status == 503 and not health['upstream']['ok'], f'{status} {health}')
    nodes[0].start()
    proxy.wait_healthy(10)
    check(proxy.ask('GET', path(q='cat', query_by='name'))[0] == 200, 'back')
    proxy.stop()
    nodes[0].stop()


# ---- shadow mode and compare ----

def top(answer):
    return [d['id'] for d in documents_of(answer)][:10]


def agreement(a, b):
    longer = max(len(top(a)), len(top(b)))
    return a['found'] == b['found'], len(set(top(a)) & set(top(b))) / longer if longer else 1


def test_shadow(program, scratch, rng, documents, mode):
    """Seeded differences; the counters must be what we compute from both answers ourselves."""
    less = [d for d in documents if int(d['id'][1:]) % 9]
    changed = [{**d, 'name': 'else'} if int(d['id'][1:]) % 50 == 1 else d for d in less]
    up = typesense(program, scratch, f'up-{mode}', documents if mode == 'builtin' else changed)
    flags = ('--typesense-url', url_of(up), '--typesense-api-key', UP_KEY, '--shadow', mode, '--shadow-percent', '100',
             '--search-api-key', SEARCH_KEY)
    ours = Tailfin(program, os.path.join(scratch, f'ours-{mode}'))
    ours.start()
    fill(ours, documents if mode == 'typesense' else changed)
    ours.stop()
    ours.flags = (*flags, *(('--serve-from', 'typesense') if mode == 'builtin' else ()))
    ours.start()
    plain_ours = Tailfin(program, os.path.join(scratch, 'plain-' + mode))  # the same index, without the shadow
    plain_ours.start()
    fill(plain_ours, documents if mode == 'typesense' else changed)
    asked = searches(rng, 120)
    expected = []
    for i, p in enumerate(asked):
        a = plain_ours.ask('GET', path(**p))[1]
        b = up.ask('GET', path(**p), key=UP_KEY)[1]
        key = SEARCH_KEY if i % 2 else 'journey-key'
        if i % 5 == 0:
            body = {'searches': [{**p, 'collection': 'things'}, {**p, 'collection': 'others'}]}
            status, answer = ours.ask('POST', '/multi_search', body, key=key)
            expected += [agreement(a, b)] * 2
        else:
            status, answer = ours.ask('GET', path(**p), key=key)
            expected.append(agreement(a, b))
        check(status == 200, f'{status} {answer}')
        time.sleep(0.005)
    end = time.monotonic() + 20
    while time.monotonic() < end and metric(ours, 'tailfin_shadow_searches_total') < len(expected):
        time.sleep(0.1)
    n, equal, tops, overlap, errors, drops = (metric(ours, f'tailfin_shadow_{m}_total') for m in (
        'searches', 'found_equal', 'tops', 'top_overlap_thousandths', 'errors', 'dropped'))
    check((errors, drops) == (0, 0), f'{errors} errors, {drops} dropped')
    check(n == len(expected), f'{n} of {len(expected)} compared')
    check(equal == sum(e[0] for e in expected), f'found equal: {equal}, expected {sum(e[0] for e in expected)}')
    wanted = sum(int(e[1] * 1000 + 0.5) for e in expected)
    check(tops == len(expected) and overlap == wanted, f'overlap {overlap}, expected {wanted}')
    check(0 < equal < n and overlap < n * 1000, 'there were disagreements')
    ours.stop()
    with open(os.path.join(ours.directory, 'shadow.log')) as f:
        lines = [json.loads(line) for line in f]
    check(lines, 'the worst are logged')
    for line in lines:
        wrong = line['served']['found'] != line['replayed']['found'] or line['overlap'] < 1
        check(wrong and line['served']['by'] != line['replayed']['by'], f'{line}')
    worst = min(e[1] for e in expected)
    check(min(line['overlap'] for line in lines) == worst, f'the worst: {worst}')
    text = open(os.path.join(ours.directory, 'shadow.log')).read()
    check(not any(k in text for k in (UP_KEY, SEARCH_KEY, 'journey-key')), 'keys in shadow.log')
    print(f'shadow {mode}: {int(n)} compared, {int(equal)} with equal found, overlap {overlap / n / 10:.1f} %, '
          f'{len(lines)} logged')
    if mode == 'typesense':
        test_compare(program, scratch, plain_ours, up, asked)
    plain_ours.stop()
    up.stop()


def compare(program, scratch, ours, up, lines, *flags):
    queries = os.path.join(scratch, 'queries')
    with open(queries, 'w') as f:
        f.write('\n'.join(lines) + '\n')
    return subprocess.run([program, 'compare', '--queries', queries, '--url', url_of(ours), '--api-key', 'journey-key',
                           '--typesense-url', url_of(up), '--typesense-api-key', UP_KEY, *flags],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment())


def test_compare(program, scratch, ours, up, asked):
    lines = []
    expected = []
    for i, p in enumerate(asked):
        lines.append(json.dumps({'collection': 'things', 'params': p}) if i % 2 else
                     f'http://host:1{path(**p)}&x-typesense-api-key=secret-in-a-url')
        expected.append(agreement(ours.ask('GET', path(**p))[1], up.ask('GET', path(**p), key=UP_KEY)[1]))
    done = compare(program, scratch, ours, up, lines)
    found = 100 * sum(e[0] for e in expected) / len(expected)
    overlap = 100 * sum(e[1] for e in expected) / len(expected)
    check(f'searches compared      {len(lines)} of {len(lines)} (0 failed)' in done.stdout, done.stdout)
    check(f'found equal            {found:.2f} %' in done.stdout, f'{found}: {done.stdout}')
    check(f'first ten in common    {overlap:.2f} % on average' in done.stdout, f'{overlap}: {done.stdout}')
    check(done.stdout.count('documents/search') == 5 and 'secret' not in done.stdout, done.stdout)
    check(done.returncode == (1 if min(found, overlap) < 95 else 0), f'{done.returncode}\n{done.stdout}')
    check(compare(program, scratch, ours, up, lines, '--agree-percent', '1').returncode == 0, 'a low limit')
    same = compare(program, scratch, up, up, lines, '--api-key', UP_KEY, '--agree-percent', '100')
    check(same.returncode == 0 and 'worst' not in same.stdout, same.stdout)
    check(compare(program, scratch, ours, up, ['{"no":1}']).returncode == 1, 'a line that is no search')
    check(compare(program, scratch, ours, up, [lines[0], path('absent', q='x')]).returncode == 1, 'both refuse')
    up.kill()
    check(compare(program, scratch, ours, up, lines[:2]).returncode == 1, 'nobody there')
    up.start()


def test_real(program, scratch, rng):
    """A real Typesense, if there is one: reading through us is reading from it."""
    url = os.environ.get('TYPESENSE_URL')
    if not url:
        print('no TYPESENSE_URL: a Tailfin plays Typesense')
        return
    key = os.environ.get('TYPESENSE_API_KEY', '')
    real = Tailfin(program, os.path.join(scratch, 'unused'), port=urllib.parse.urlparse(url).port)
    real.key = key
    for name in ('things', 'others'):
        real.ask('DELETE', f'/collections/{name}', key=key)
    fill(real, [document(rng, n) for n in range(300)])
    proxy = Tailfin(program, os.path.join(scratch, 'real'), '--serve-from', 'typesense', '--typesense-url', url,
                    '--typesense-api-key', key, '--search-api-key', SEARCH_KEY)
    proxy.start()
    for p in [path(**p) for p in searches(rng, 60)] + ['/collections/things', '/collections/things/documents/d7']:
        a, b = real.ask('GET', p, key=key), proxy.ask('GET', p)
        check((a[0], plain(a[1])) == (b[0], plain(b[1])), f'{p}:\n{a}\n{b}')
    test_keys(proxy)
    proxy.stop()
    for name in ('things', 'others'):
        real.ask('DELETE', f'/collections/{name}', key=key)
    print(f'equal to {url}')


def test_options(program, scratch):
    for flags in (('--serve-from', 'typesense'), ('--shadow', 'typesense'),
                  ('--shadow', 'builtin', '--typesense-url', 'http://127.0.0.1:1'),
                  ('--serve-from', 'typesense', '--typesense-url', 'ftp://x'),
                  ('--serve-from', 'typesense', '--shadow', 'typesense', '--typesense-url', 'http://127.0.0.1:1')):
        done = subprocess.run([program, 'serve', '--listen', f'127.0.0.1:{free_port()}', '--data-dir',
                               os.path.join(scratch, 'options'), *flags], stderr=subprocess.PIPE, text=True,
                              env=environment(), timeout=30)
        check(done.returncode == 1 and 'failed' in done.stderr, f'{flags}: {done.returncode} {done.stderr}')


def run(program):
    rng = seed()
    documents = [document(rng, n) for n in range(400)]
    with Scratch() as scratch:
        test_options(program, scratch)
        up = typesense(program, scratch, 'up', documents)
        proxy = forwarding(program, scratch, 'proxy', url_of(up))
        proxy.start()
        test_equal(rng, up, proxy)
        test_keys(proxy)
        test_references(proxy)
        proxy.stop()
        own = Tailfin(program, os.path.join(scratch, 'own'), '--search-api-key', SEARCH_KEY)
        own.start()
        fill(own, documents)
        test_keys(own)  # the rights are the same when nothing is forwarded
        own.stop()
        test_secrecy(program, scratch, up, [proxy.log_path])
        up.stop()
        test_sharing(program, scratch)
        test_failover(program, scratch, documents)
        for mode in ('typesense', 'builtin'):
            test_shadow(program, scratch, rng, documents, mode)
        test_real(program, scratch, rng)


if __name__ == '__main__':
    main(run)
