#!/usr/bin/env python3
"""From MongoDB to Typesense to a client: a Tailfin feeds a cluster (a second one in standalone mode plays it) and serves
from it, with --backend typesense and with both. Searches answer as those of a Tailfin with its own index on the same
MongoDB, changes appear, a reindex behind the alias fails none of them, and a cluster that is away is said to be."""
import random
import threading
import time

import seventv
from forward import documents_of, metric, path, url_of
from sink import FEEDING, compare, follows, only_targets, state, wait_for
from tailfin import ROOT, Mongo, Scratch, Tailfin, check, main, scale, seed

UP_KEY = 'the-key-of-typesense'
SORTS = ('score_top_all_time', 'score_trending_day', 'created_at')


def feeder(program, directory, mongo, up, backend):
    return Tailfin(program, directory, '--mongodb-uri', mongo.uri, '--backend', backend, '--serve-from', 'typesense',
                   '--typesense-url', url_of(up), '--typesense-api-key', UP_KEY, *FEEDING)


def searches(rng, names, n):
    for _ in range(n):
        word = rng.choice(names).split()[0]
        p = {'q': rng.choice([word, word[:2], word[1:], '*']), 'query_by': rng.choice(['default_name', 'default_name,tags']),
             'sort_by': rng.choice([f'_text_match:desc,{s}:desc' for s in SORTS] + [f'{s}:asc' for s in SORTS]),
             'per_page': rng.choice([5, 20, 250])}
        if rng.random() < .5:
            p['filter_by'] = rng.choice(['flag_animated:true', 'deleted:=false && score_top_all_time:>300',
                                         'flag_nsfw:false || score_trending_day:[0..500]'])
        yield p


def order(hit, p):
    """What the hits are ordered by: documents that are equal in it may change places."""
    keys = [k.split(':')[0] for k in p['sort_by'].split(',')]
    return [hit.get('text_match') if k == '_text_match' else hit['document'][k] for k in keys]


def check_equal(own, served, rng, n):
    names = [d['default_name'] for d in own.export('emotes').values() if d['default_name'].split()]
    hits = 0
    for p in searches(rng, names, n):
        (a_status, a), (b_status, b) = own.ask('GET', path('emotes', **p)), served.ask('GET', path('emotes', **p))
        check((a_status, b_status) == (200, 200), f'{p}: {a_status} {a} / {b_status} {b}')
        check(a['found'] == b['found'], f'{p}: {a["found"]} and {b["found"]}')
        check([order(h, p) for h in a['hits']] == [order(h, p) for h in b['hits']], f'{p}: another order')
        if a['found'] <= p['per_page']:
            check({d['id'] for d in documents_of(a)} == {d['id'] for d in documents_of(b)}, f'{p}: other documents')
        hits += a['found']
    check(hits > n, f'the searches find something: {hits}')


def found(server, **params):
    return server.search('emotes', **params)['found']


def check_changes(shell, served):
    id = shell.find('emotes', {'_id': 1})[0]['_id']
    for name in ('kappaflorence', 'pepelondon'):
        shell.run({'update': 'emotes', 'updates': [
            {'q': {'_id': id}, 'u': {'$set': {'default_name': name, 'deleted': False},
                                     '$currentDate': {'search_updated_at': True}}}]})
        wait_for(lambda: found(served, q=name, query_by='default_name') == 1, f'{name} appears', 20)
    check(found(served, q='kappaflorence', query_by='default_name', num_typos=0) == 0, 'the old name is gone')
    shell.run({'delete': 'emotes', 'deletes': [{'q': {'_id': id}, 'limit': 1}]})
    wait_for(lambda: found(served, q='pepelondon', query_by='default_name', num_typos=0) == 0, 'it disappears', 20)


def check_told(served):
    status, health = served.ask('GET', '/health')
    check(status == 200 and health['upstream']['ok'] and health['typesense'] == 'following', f'{status} {health}')
    wait_for(lambda: metric(served, 'tailfin_typesense_pending') == 0, 'nothing is owed')
    check(metric(served, 'tailfin_typesense_acknowledged_total') > 1000, 'documents were fed')
    check(metric(served, 'tailfin_forwarded_total') > 10, 'searches were forwarded')


def check_reindex(served, threads=3):
    """Searches go on, all of them find everything, and afterwards other collections answer."""
    was = {n: c['target'] for n, c in state(served)['collections'].items()}
    everything, bad, n, over = found(served, q='*', query_by=''), [], [0] * threads, threading.Event()

    def search(i):
        connection = served.connection()
        while not over.is_set():
            status, answer = served.ask('GET', path('emotes', q='*', query_by=''), connection=connection)
            n[i] += 1
            if status != 200 or answer['found'] < everything:
                bad.append((status, answer))
    workers = [threading.Thread(target=search, args=(i,)) for i in range(threads)]
    for w in workers:
        w.start()
    served.ask('POST', '/admin/reindex')
    wait_for(lambda: follows(served) and all(c['target'] != was[k] for k, c in state(served)['collections'].items()),
             'every collection is another one', 120)
    time.sleep(2)  # what is grace here has passed: the old ones are dropped
    over.set()
    for w in workers:
        w.join()
    check(not bad, f'{len(bad)} of {sum(n)} searches failed while reindexing: {bad[:3]}')
    return sum(n)


def check_outage(shell, served, up):
    """No one falls back: an index that was not asked for would answer otherwise."""
    up.kill()
    begin = time.monotonic()
    status, answer = served.ask('GET', path('emotes', q='*', query_by=''))
    check(status == 503 and 'message' in answer and time.monotonic() - begin < 4, f'{status} {answer}')
    wait_for(lambda: served.ask('GET', '/health')[0] == 503, 'the health says so', 10)
    check(not served.ask('GET', '/health')[1]['upstream']['ok'], 'and whose fault it is')
    id = shell.find('emotes', {'_id': 1})[0]['_id']
    shell.run({'update': 'emotes', 'updates': [
        {'q': {'_id': id}, 'u': {'$set': {'default_name': 'whileyouwereaway'}, '$currentDate': {'search_updated_at': True}}}]})
    wait_for(lambda: state(served)['state'] == 'retrying', 'the sink notices', 20)
    up.start()
    served.wait_healthy(20)
    wait_for(lambda: found(served, q='whileyouwereaway', query_by='default_name') == 1, 'what was missed appears', 60)


def journey(program, scratch, mongo, shell, own, backend, rng):
    up = Tailfin(program, f'{scratch}/up-{backend}', '--api-key', UP_KEY)
    up.key = UP_KEY
    up.ask = lambda *a, key=UP_KEY, **rest: Tailfin.ask(up, *a, key=key, **rest)
    up.start()
    served = feeder(program, f'{scratch}/served-{backend}', mongo, up, backend)
    served.start()
    compare(up, served, shell, f'at first, {backend}')
    n = scale('JOURNEY_SEARCHES', 150)
    check_equal(own, served, rng, n)
    check_changes(shell, served)
    check_told(served)
    during = check_reindex(served)
    only_targets(up, served)
    check_outage(shell, served, up)
    compare(up, served, shell, f'at last, {backend}')
    check(not seventv.settle(own, shell, with_edges=False), 'the own index')
    check_equal(own, served, rng, n)
    served.stop()
    up.stop()
    print(f'{backend}: {2 * n} searches equal, {during} during a reindex without a failure', flush=True)


def run(program):
    rng = seed()
    with Scratch() as scratch, Mongo(scratch + '/mongodb') as mongo:
        shell = seventv.Shell(ROOT, mongo.uri, 'journey')
        seventv.Application(shell, random.Random(rng.random())).fill(scale('TAILFIN_USERS', 800))
        own = Tailfin(program, scratch + '/own', '--mongodb-uri', mongo.uri)
        own.start()
        for backend in ('typesense', 'both'):
            journey(program, scratch, mongo, shell, own, backend, rng)
        own.stop()
        shell.close()


if __name__ == '__main__':
    main(run)
