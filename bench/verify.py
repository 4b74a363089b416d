#!/usr/bin/env python3
"""What verifying costs, on a real MongoDB: its speed, and searches beside it. The same options as mongo.py;
the server must have been built with the benches.

  bench/verify.py --keep DIR [--emotes 300000 ...] [--seconds 20]

Each round measures a while without verifying, at the default rate, and at full speed, so that what else the
machine does falls on all three.
"""
import http.client
import json
import random
import time

import mongo

ROUNDS = 3
SEARCHES_PER_S = 200
WORDS = ('kappa', 'pepe', 'cat', 'lul', 'hype', 'sad', 'dance', 'love', 'ez', 'monka')


def search(port, seconds):
    """Milliseconds of searches that begin when they are due, over one kept connection."""
    rng = random.Random(1)
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    took, begin = [], time.monotonic()
    for i in range(int(seconds * SEARCHES_PER_S)):
        due = begin + i / SEARCHES_PER_S
        time.sleep(max(0, due - time.monotonic()))
        c.request('GET', f'/collections/emotes/documents/search?q={rng.choice(WORDS)}&query_by=default_name,tags'
                         '&sort_by=score_top_all_time:desc&per_page=20', headers={'X-TYPESENSE-API-KEY': mongo.KEY})
        c.getresponse().read()
        took.append((time.monotonic() - due) * 1000)
    return took


def quantiles(took):
    took = sorted(took)
    return ' / '.join(f'{took[min(len(took) - 1, int(len(took) * q))]:.2f}' for q in (.5, .9, .99)) + ' ms'


def ask(bench, method, path):
    return json.loads(bench.ask(method, path)[1])


def whole(bench):
    before, begin = bench.cpu_s(), time.monotonic()
    ask(bench, 'POST', '/admin/verify')
    while ask(bench, 'GET', '/admin/verify')['running']:
        time.sleep(.05)
    took = time.monotonic() - begin
    answer = ask(bench, 'GET', '/admin/verify')
    bench.row('verify, all at full speed', f'{answer["documents"]} documents in {took:.1f} s = '
              f'{answer["documents"] / took:.0f}/s, {len(answer["findings"])} findings')
    us = [(now - then) * 1e6 / answer['documents'] for now, then in zip(bench.cpu_s(), before)]
    bench.row('processor time of a document', f'{us[0]:.1f} us here, {us[1]:.1f} us in MongoDB: at 1,000 documents/s '
              f'{us[0] / 10:.2f} % and {us[1] / 10:.2f} % of a core')
    for c in answer['collections']:
        if c['documents'] > 1000:
            bench.row('  ' + c['name'], f'{c["documents"]} documents, {c["per_s"]}/s')


def beside(bench):
    times = {'none': [], 'default': [], 'full': []}
    for _ in range(ROUNDS):
        for what, order in (('none', None), ('default', '?docs_per_s=1000'), ('full', '')):
            if order is not None:
                ask(bench, 'POST', '/admin/verify' + order)
            times[what] += search(bench.args.port, bench.args.seconds)
            if order is not None:
                ask(bench, 'DELETE', '/admin/verify')
                while ask(bench, 'GET', '/admin/verify')['running']:
                    time.sleep(.05)
    for what, name in (('none', 'without verifying'), ('default', 'at 1,000 documents/s'), ('full', 'at full speed')):
        bench.row(f'searches {name}', f'p50 / p90 / p99: {quantiles(times[what])}')


def main():
    args = mongo.arguments()
    args.seconds = min(args.seconds, 20)
    bench = mongo.Bench(args)
    bench.start_mongodb()
    try:
        bench.start('--verify-docs-per-s', '0')
        whole(bench)
        beside(bench)
        bench.stop()
    finally:
        mongo.subprocess.run([f'{mongo.ROOT}/scripts/mongod.sh', 'stop', bench.mongo], check=True)


main()
