#!/usr/bin/env python3
"""A full reindex beside searches and writes, on a real MongoDB. The same options as mongo.py.

  bench/reindex.py [--keep DIR] [--seconds 60] [--rounds 3] [--rebuilds 1] [--searches 1000] [--writes 500] [--emotes 300000 ...]

A round is a while with searches and writes alone, and as long a while in which everything is rebuilt beside them: once,
or with --rebuilds 0 again and again. So what else the machine does falls on both. Searches are beginnings of real emote names at a fixed
rate, and their time counts from when they were due; writes change emotes in MongoDB, and when they can be found is
looked at every 20 ms. Judged are the medians of the rounds' p99.
"""
import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
import urllib.parse

import make_corpus
import mongo

N_SEARCHES = 20000
CONNECTIONS = 64
SETTLE_S = 4  # generations at rest for 3 s are merged on


def searches(path):
    """A file for bench_search: what API servers ask while people type names."""
    rng = random.Random(1)
    names = [row['name'] for row in make_corpus.read_rows('emotes_real.jsonl.gz') if ' ' not in row['name']]
    with open(path, 'w', encoding='utf-8') as f:
        for _ in range(N_SEARCHES):
            name = rng.choice(names)
            params = urllib.parse.urlencode({
                'q': name[:rng.randint(2, max(2, len(name)))], 'query_by': 'default_name,tags',
                'query_by_weights': '4,1', 'filter_by': 'deleted: false', 'exhaustive_search': 'true', 'per_page': 30,
                'sort_by': '_text_match(buckets: 10):desc,score_top_all_time:desc', 'include_fields': 'id'})
            f.write(f'prefix\t/collections/emotes/documents/search?{params}\n')


class Reindex(mongo.Bench):
    def begin(self, name, *flags):
        return subprocess.Popen([f'{self.programs}/{name}', *flags], cwd=mongo.ROOT, stdout=subprocess.PIPE, text=True)

    def state(self):
        return json.loads(self.get('/admin/reindex')[1])

    def rebuild(self, until):
        """Everything, as often as asked for; (documents, seconds) of each rebuild that ended in time."""
        out = []
        while time.monotonic() < until and len(out) < (self.args.rebuilds or sys.maxsize):
            begin = time.monotonic()
            status, body = self.ask('POST', '/admin/reindex?force=true')
            if status != 202:
                sys.exit(f'POST /admin/reindex answered {status}: {body}')
            while (state := self.state())['running'] and time.monotonic() < until:
                time.sleep(.05)
            if state['running']:
                self.ask('DELETE', '/admin/reindex')
            else:
                out.append((sum(c['documents'] for c in state['collections']), time.monotonic() - begin))
        return out

    def settle(self):
        while self.state()['running']:
            time.sleep(.05)
        before = -1
        while (used := self.cpu_s()[0]) - before > .05 * SETTLE_S:
            before = used
            time.sleep(SETTLE_S)

    def measure(self, is_rebuilding):
        """The figures of a while, by name."""
        args, url = self.args, f'http://127.0.0.1:{self.args.port}'
        self.settle()
        writer = self.begin('bench_fresh', self.uri, url, mongo.KEY, '--rate', str(args.writes), '--seconds',
                            str(args.seconds + 2), '--emotes', str(args.emotes), '--probe-ms', '20',
                            '--plain-stream', '0')
        time.sleep(1)
        used, begin = self.cpu_s(), time.monotonic()
        searcher = self.begin('bench_search', self.file, '--port', str(args.port), '--key', mongo.KEY, '--connections',
                              str(CONNECTIONS), '--rate', str(args.searches), '--warm-up', '.5', '--seconds',
                              str(args.seconds - .5), '--format', 'json')
        rebuilt = self.rebuild(begin + args.seconds) if is_rebuilding else []
        found = json.loads(searcher.communicate()[0])
        seconds = time.monotonic() - begin
        used = [(now - then) / seconds for now, then in zip(self.cpu_s(), used)]
        text = writer.communicate()[0]
        fresh = re.search(r'searchable .*p50 +([\d.]+) ms .*p99 +([\d.]+) ms', text)
        if writer.returncode or not fresh:
            sys.exit(f'the writer failed: {text}')
        all_of_them = found['ms'][0]
        return {'p50': all_of_them['p50'], 'p99': all_of_them['p99'], 'max': all_of_them['max'],
                'per second': found['per_second'], 'failed': found['errors'] + found['lost'],
                'fresh p50': float(fresh[1]), 'fresh p99': float(fresh[2]), 'writes/s': float(text.split()[3][:-2]),
                'cores': used[0], 'cores of mongod': used[1], 'rebuilt': rebuilt}

    def tell(self, what, m):
        rebuilds = ', '.join(f'{n} documents in {s:.1f} s = {n / s:.0f}/s' for n, s in m['rebuilt'])
        self.row(what, f'searches {m["per second"]:.0f}/s, p50 {m["p50"]:.2f} p99 {m["p99"]:.2f} max {m["max"]:.1f} ms, '
                 f'{m["failed"]} failed; writes {m["writes/s"]:.0f}/s, searchable p50 {m["fresh p50"]:.0f} '
                 f'p99 {m["fresh p99"]:.0f} ms; cores {m["cores"]:.2f} and MongoDB {m["cores of mongod"]:.2f}'
                 + (f'; {rebuilds}' if rebuilds else ''))

    def rounds(self):
        alone, beside = [], []
        for i in range(self.args.rounds):
            alone.append(self.measure(False))
            self.tell(f'{i + 1}: alone', alone[-1])
            beside.append(self.measure(True))
            self.tell(f'{i + 1}: beside a reindex', beside[-1])
        p99 = [statistics.median(m['p99'] for m in which) for which in (alone, beside)]
        rates = [n / s for m in beside for n, s in m['rebuilt']]
        self.row('p99 of searches, medians', f'{p99[0]:.2f} ms alone, {p99[1]:.2f} ms beside a reindex: '
                 f'{p99[1] / p99[0]:.2f} times')
        self.row('failed searches', sum(m['failed'] for m in alone + beside))
        if rates:
            self.row('reindexed', f'median {statistics.median(rates):.0f} documents/s, {len(rates)} times')


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                parents=[mongo.options()])
    a.set_defaults(seconds=60)
    a.add_argument('--rounds', type=int, default=3)
    a.add_argument('--rebuilds', type=int, default=1, help='of everything in a while; 0: again and again')
    a.add_argument('--searches', type=int, default=1000)
    a.add_argument('--writes', type=int, default=500)
    return a.parse_args()


def main():
    args = arguments()
    os.makedirs(args.keep, exist_ok=True)
    bench = Reindex(args)
    bench.start_mongodb()
    bench.file = f'{args.keep}/prefixes.tsv'
    searches(bench.file)
    try:
        bench.start('--verify-docs-per-s', '0')
        bench.rounds()
        bench.stop()
    finally:
        if getattr(bench, 'process', None) and bench.process.poll() is None:
            bench.process.kill()
        subprocess.run([f'{mongo.ROOT}/scripts/mongod.sh', 'stop', bench.mongo])
    bench.table()


main()
