#!/usr/bin/env python3
"""The figures of searching, in one command: a table, and a plot beside it.

  bench/search.py [--only load,mix,memory,updates,names,growth] [--out bench/results/DATE-search]
                  [--program build/release/tailfin] [--emotes 300000 --users 160000 --seed 23]
                  [--names 1000000] [--sizes 10000,100000,1000000,3000000] [--seconds 10] [--rates 100,1000]
                  [--typesense URL --typesense-key K] [--mongodb URI] [--keep DIR]

Starts Tailfin with an empty index in standalone mode and fills it over HTTP. With --typesense the same work is done
by a running Typesense, and with --mongodb (a URI, or `local`: scripts/mongod.sh starts one) by a database without a
search engine, as far as it can; the table then has ratios. Corpora (bench/make_corpus.py) stay in DIR for the next run.
"""
import argparse
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse

import svg
from make_corpus import CACHE, ROOT
from servers import Api, MongoDB, Tailfin, Typesense

STEPS = ('load', 'mix', 'memory', 'updates', 'names', 'growth')
MB = 1e6
UPDATE_LINES = 200
UPDATE_CONNECTIONS = 4
WARM_UP_S = 1


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--only', default=','.join(STEPS))
    a.add_argument('--out')
    a.add_argument('--program', default=f'{ROOT}/build/release/tailfin')
    a.add_argument('--keep', default=f'{CACHE}/bench')
    a.add_argument('--corpus', help='a directory in the form of make_corpus.py instead of the 7tv one')
    for name, n in (('emotes', 300000), ('users', 160000), ('queries', 3000), ('seed', 23), ('names', 1000000),
                    ('updates', 20000)):
        a.add_argument(f'--{name}', type=int, default=n)
    a.add_argument('--sizes', default='10000,100000,1000000,3000000')
    a.add_argument('--seconds', type=float, default=10)
    a.add_argument('--rates', default='100,1000')
    a.add_argument('--typesense')
    a.add_argument('--typesense-key', default='')
    a.add_argument('--mongodb')
    return a.parse_args()


def busy_share(seconds=1.0):
    """How much of the machine others use just now, 0..1."""
    def read():
        with open('/proc/stat', encoding='ascii') as f:
            v = [int(x) for x in f.readline().split()[1:9]]
        return sum(v), v[3] + v[4]
    all_before, idle_before = read()
    time.sleep(seconds)
    all_after, idle_after = read()
    return 1 - (idle_after - idle_before) / max(1, all_after - all_before)


def machine():
    with open('/proc/meminfo', encoding='ascii') as f:
        memory_gb = int(f.readline().split()[1]) / 1e6
    with open('/proc/cpuinfo', encoding='ascii', errors='replace') as f:
        model = re.search(r'model name\s*: (.*)', f.read())
    return (f'{os.cpu_count()}-core {platform.machine()} ({model.group(1) if model else "unknown"}), '
            f'{memory_gb:.0f} GB, Linux {platform.release().split("-")[0]}; load generator on the same cores')


class Table:
    """What was measured: figures by row and server, in the order in which they came."""

    def __init__(self):
        self.rows = {}

    def add(self, what, server, value, text, bar=''):
        """bar: what the plan asks for, shown beside it."""
        row = self.rows.setdefault(what, {'bar': bar, 'values': {}})
        row['values'][server] = (value, text)
        print(f'{server:10} {what:64} {text}', flush=True)

    def markdown(self):
        servers = list(dict.fromkeys(s for r in self.rows.values() for s in r['values']))
        head = ['what', 'bar'] + servers + [f'{s} / Tailfin' for s in servers[1:]]
        out = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
        for what, row in self.rows.items():
            values = [row['values'].get(s, (None, '')) for s in servers]
            ours = values[0][0]
            ratios = [f'{v / ours:.2g}' if ours and v else '' for v, _ in values[1:]]
            out.append('| ' + ' | '.join([what, row['bar'], *(t for _, t in values), *ratios]) + ' |')
        return '\n'.join(out)


class Bench:
    def __init__(self, args):
        self.args = args
        self.table = Table()
        self.kinds = {}    # server: {kind: row of bench_search}, of the mix with one connection
        self.growth = {}   # server: {kind: [p50 by size]}
        self.found = {}    # kind: [mean found by size]
        self.busy = []     # share of the machine that others used before each measurement
        os.makedirs(args.keep, exist_ok=True)
        self.tailfin = Tailfin(args.program, args.keep)
        self.servers = [self.tailfin]
        if args.typesense:
            self.servers.append(Typesense(args.typesense, args.typesense_key))

    # ---- tools ----

    def corpus(self, what, **sizes):
        name = '-'.join([what] + [f'{k}{v}' for k, v in sizes.items()] + [f'seed{self.args.seed}'])
        path = f'{self.args.keep}/{name}'
        if not os.path.exists(f'{path}/schemas.json'):
            flags = [x for k, v in sizes.items() for x in (f'--{k}', str(v))]
            subprocess.run([sys.executable, f'{ROOT}/bench/make_corpus.py', what, path, '--seed', str(self.args.seed),
                            *flags], check=True)
        return path

    def main_corpus(self):
        return self.args.corpus or self.corpus('7tv', emotes=self.args.emotes, users=self.args.users,
                                               queries=self.args.queries)

    @staticmethod
    def path_of(query):
        return f'/collections/{query["collection"]}/documents/search?' + urllib.parse.urlencode(query['params'])

    @staticmethod
    def read_queries(corpus):
        with open(f'{corpus}/queries.jsonl', encoding='utf-8') as f:
            return [json.loads(line) for line in f]

    def replay(self, server, queries, connections, rate=0, seconds=None):
        """The report of bench_search."""
        file = f'{self.args.keep}/requests.txt'
        with open(file, 'w', encoding='utf-8') as f:
            f.writelines(f'{q["kind"]}\t{self.path_of(q)}\n' for q in queries)
        self.busy.append(busy_share())
        cpu_before = server.cpu_seconds()
        out = subprocess.run(
            [f'{os.path.dirname(self.args.program)}/bench/bench_search', file, '--host', server.host, '--port',
             str(server.port), '--key', server.key, '--connections', str(connections), '--rate', str(rate), '--seconds',
             str(seconds or self.args.seconds), '--warm-up', str(WARM_UP_S), '--format', 'json'],
            stdout=subprocess.PIPE, text=True)
        if out.returncode not in (0, 3):
            sys.exit(f'bench_search ended with {out.returncode}')
        report = json.loads(out.stdout)
        report['kinds'] = {row['kind']: row for row in report['ms']}
        if cpu_before is not None:
            n = report['per_second'] * (report['seconds'] + WARM_UP_S)
            report['cpu_ms'] = (server.cpu_seconds() - cpu_before) * 1000 / max(1, n)
        if report['errors'] or report['lost']:
            self.table.add('errors', server.name, report['errors'], f'{report["errors"]} errors, {report["lost"]} lost')
        return report

    @staticmethod
    def times(row):
        return f'{row["p50"]:.3f} / {row["p90"]:.3f} / {row["p99"]:.3f} / {row["max"]:.1f} ms'

    def fill(self, server, corpus):
        if server is self.tailfin:
            server.stop()
            server.start(is_empty=True)
        return server.load(corpus)

    def ensure_filled(self, server):
        """With the main corpus, for steps that are run alone."""
        if server is self.tailfin and (not server.process or server.process.poll() is not None):
            self.fill(server, self.main_corpus())
            server.settle()

    # ---- steps ----

    def load(self):
        corpus = self.main_corpus()
        for server in self.servers:
            self.busy.append(busy_share())
            rows = self.fill(server, corpus)
            n, seconds = sum(r[1] for r in rows), sum(r[2] for r in rows)
            cpu = server.cpu_seconds()
            self.table.add('import over HTTP, one connection', server.name, n / seconds, f'{n / seconds:,.0f} documents/s',
                           '60,000/s')
            if cpu is not None:
                self.table.add('import: processor time of a document', server.name, cpu / n, f'{cpu / n * 1e6:.1f} us')
            for name, m, s in rows:
                if m > 1000:
                    self.table.add(f'import of {m:,} {name}', server.name, m / s, f'{m / s:,.0f} documents/s')
        self.tailfin.settle()
        self.restart()

    def restart(self):
        t = self.tailfin
        before = t.n_documents()
        begin = time.monotonic()
        t.stop()
        stopped = time.monotonic() - begin
        begin = time.monotonic()
        t.start()
        n = t.n_documents()
        took = time.monotonic() - begin
        self.table.add('stop', t.name, stopped, f'{stopped:.2f} s')
        self.table.add('restart until complete', t.name, took, f'{took:.3f} s, {n:,} of {before:,} documents', '1 s')

    def mix(self):
        queries = self.read_queries(self.main_corpus())
        for server in self.servers:
            self.ensure_filled(server)
            r = self.replay(server, queries, 8)
            all_ = r['kinds']['all']
            self.table.add('query mix, 8 connections', server.name, r['per_second'],
                           f'{r["per_second"]:,.0f}/s', '3,000/s')
            self.table.add('query mix, 8 connections: p50 / p90 / p99 / max', server.name, all_['p99'], self.times(all_))
            r = self.replay(server, queries, 1)
            all_ = r['kinds']['all']
            self.kinds[server.name] = {k: v for k, v in r['kinds'].items() if v['n']}
            self.table.add('query mix, one at a time: p50', server.name, all_['p50'], f'{all_["p50"]:.3f} ms', '0.3 ms')
            self.table.add('query mix, one at a time: p99', server.name, all_['p99'], f'{all_["p99"]:.3f} ms', '3 ms')
            if 'cpu_ms' in r:
                self.table.add('query mix: processor time of a search', server.name, r['cpu_ms'], f'{r["cpu_ms"]:.3f} ms')
            for rate in map(float, self.args.rates.split(',')):
                r = self.replay(server, queries, 64, rate)
                text = self.times(r['kinds']['all']) + (f', {r["late"]} late' if r['late'] else '')
                self.table.add(f'query mix, open loop, {rate:,.0f}/s: p50 / p90 / p99 / max', server.name,
                               r['kinds']['all']['p99'], text)

    def memory(self):
        for server in self.servers:
            self.ensure_filled(server)
            n = server.n_documents()
            self.replay(server, self.read_queries(self.main_corpus()), 8, seconds=3)
            m = server.memory()
            text = f'{m["anon"] / MB:.0f} MB, {m["anon"] / n:.0f} bytes a document'
            if 'mapped' in m:
                text += f'; and {m["mapped"] / MB:.0f} MB of {m["files"] / MB:.0f} MB of files mapped'
            self.table.add('RSS after the mix (since the restart)', server.name, m['anon'], text, '160 MB')
        for collection in ('emotes', 'users', 'roles'):
            self.tailfin.ask('GET', f'/collections/{collection}/documents/export')
        m = self.tailfin.memory()
        self.table.add('RSS after an export of every document', 'Tailfin', m['anon'],
                       f'{m["anon"] / MB:.0f} MB, and {m["mapped"] / MB:.0f} MB mapped')

    def updates(self):
        """Readers at a fixed rate, first alone, then while one connection updates scores."""
        corpus, t = self.main_corpus(), self.tailfin
        queries = self.read_queries(corpus)
        self.ensure_filled(t)
        idle = self.replay(t, queries, 16, 500)['kinds']['all']
        writer = Updates(t, corpus, self.args.updates)
        writer.start()
        time.sleep(1)
        loaded = self.replay(t, queries, 16, 500)['kinds']['all']
        writer.stop()
        what = f'while {self.args.updates:,} updates/s are applied'
        self.table.add('readers at 500/s, idle: p50 / p90 / p99 / max', t.name, idle['p99'], self.times(idle))
        self.table.add(f'readers at 500/s {what}', t.name, loaded['p99'], self.times(loaded))
        self.table.add(f'p99 {what}, times the idle one', t.name, loaded['p99'] / idle['p99'],
                       f'{loaded["p99"] / idle["p99"]:.2f}', '2')
        self.table.add(f'segments per query {what}', t.name, max(writer.n_segments),
                       f'at most {max(writer.n_segments)}, mean {statistics.mean(writer.n_segments):.1f}', '12')
        self.table.add('updates applied, answered and searchable', t.name, writer.rate(), f'{writer.rate():,.0f}/s; answer of '
                       f'{UPDATE_LINES} after p50 {writer.quantile(.5):.1f}, p99 {writer.quantile(.99):.1f} ms')

    def names(self):
        """Short prefixes by popularity and two typos, over a million names."""
        corpus = self.corpus('npm', names=self.args.names, queries=self.args.queries)
        queries = self.read_queries(corpus)
        for server in self.servers:
            n, seconds = self.fill(server, corpus)[0][1:]
            self.table.add(f'import of {n:,} names', server.name, n / seconds, f'{n / seconds:,.0f} documents/s')
            if server is self.tailfin:
                server.settle()
            for kind, bar in (('prefix1', '5 ms'), ('prefix2', '5 ms'), ('typo2', '5 ms'), ('typo2_prefix', '5 ms'),
                              ('exact', ''), ('star', '')):
                r = self.replay(server, [q for q in queries if q['kind'] == kind], 1, seconds=self.args.seconds / 2)
                row = r['kinds'][kind]
                self.table.add(f'{n:,} names, {kind}: p50 / p90 / p99 / max', server.name, row['p99'], self.times(row),
                               bar and f'p99 {bar}')
            wrong, n_asked = self.wrong_prefixes(server, corpus, queries)
            self.table.add(f'{n:,} names, prefixes whose `found` is not complete', server.name, wrong,
                           f'{wrong} of {n_asked}', '0')

    @staticmethod
    def wrong_prefixes(server, corpus, queries):
        """Compares with a count over the names themselves."""
        prefixes = {q['params']['q'].lower(): q for q in queries if q['kind'] in ('prefix1', 'prefix2')}
        count = dict.fromkeys(prefixes, 0)
        with open(f'{corpus}/packages.jsonl', encoding='utf-8') as f:
            for line in f:
                token = re.sub('[^a-z0-9]', '', json.loads(line)['name'].lower())
                for n in (1, 2):
                    if len(token) >= n and token[:n] in count:
                        count[token[:n]] += 1
        asked = [p for p in prefixes if p.isascii() and p.isalnum()]
        wrong = sum(server.json(Bench.path_of(prefixes[p]))['found'] != count[p] for p in asked)
        return wrong, len(asked)

    def grow(self, size):
        """One size: p50 and mean found by kind."""
        corpus = self.corpus('npm', names=size, queries=self.args.queries)
        queries = self.read_queries(corpus)
        for server in self.servers:
            n, seconds = self.fill(server, corpus)[0][1:]
            if server is self.tailfin:
                server.settle()
                m = server.memory()
                self.table.add(f'{size:,} names', server.name, m['anon'] / n, f'import {n / seconds:,.0f}/s; '
                               f'{m["anon"] / n:.0f} bytes resident and {m["files"] / n:.0f} in files a document')
            for kind in dict.fromkeys(q['kind'] for q in queries):
                of_kind = [q for q in queries if q['kind'] == kind]
                row = self.replay(server, of_kind, 1, seconds=min(3, self.args.seconds))['kinds'][kind]
                self.growth.setdefault(server.name, {}).setdefault(kind, []).append(row['p50'])
                if server is self.tailfin:
                    found = statistics.mean(server.json(self.path_of(q))['found'] for q in of_kind[:60])
                    self.found.setdefault(kind, []).append(found)

    def growth_step(self):
        sizes = [int(s) for s in self.args.sizes.split(',')]
        for size in sizes:
            self.grow(size)
        first = sizes.index(100000) if 100000 in sizes else 0
        for server, kinds in self.growth.items():
            for kind, p50 in kinds.items():
                more = self.found[kind][-1] / max(self.found[kind][first], .01)
                text = ' / '.join(f'{v:.3f}' for v in p50) + f' ms: x {p50[-1] / p50[first]:.1f}'
                bar = f'x {more:.1f} (its `found`)' if kind.startswith('prefix') else 'x 4'
                self.table.add(f'p50 of {kind} over {" / ".join(f"{s:,}" for s in sizes)} names', server, p50[-1], text, bar)

    # ---- MongoDB ----

    def mongodb(self):
        """Commands through a pipe to a small C program, one at a time."""
        uri, directory = self.args.mongodb, f'{self.args.keep}/mongodb-search'
        if uri == 'local':
            uri = subprocess.run([f'{ROOT}/scripts/mongod.sh', 'start', directory], stdout=subprocess.PIPE, text=True,
                                 check=True).stdout.strip()
        db = MongoDB(uri)
        try:
            self.replay_mongodb(db)
        finally:
            db.stop()
            if self.args.mongodb == 'local':
                subprocess.run([f'{ROOT}/scripts/mongod.sh', 'stop', directory])

    def replay_mongodb(self, db):
        corpus = self.main_corpus()
        rows = db.load(corpus)
        n, seconds = sum(r[1] for r in rows), sum(r[2] for r in rows)
        self.table.add('import over HTTP, one connection', db.name, n / seconds,
                       f'{n / seconds:,.0f} documents/s, indexes included')
        times = {}
        end = time.monotonic() + 6 * self.args.seconds
        for query in self.read_queries(corpus):
            translated = db.translate(query)
            if time.monotonic() > end or not translated:
                continue
            text = json.dumps(translated[1])
            begin = time.monotonic()
            reply = db.command(text)
            took = (time.monotonic() - begin) * 1000
            if b'"cursor"' in reply:
                times.setdefault(translated[0], []).append(took)
                times.setdefault('all', []).append(took)
        self.kinds[db.name] = {
            kind: {'n': len(v), 'mean': statistics.mean(v), 'max': max(v),
                   **{f'p{p}': sorted(v)[min(len(v) - 1, len(v) * p // 100)] for p in (50, 90, 99)}}
            for kind, v in times.items()}
        all_ = self.kinds[db.name]['all']
        self.table.add('query mix, one at a time: p50', db.name, all_['p50'], f'{all_["p50"]:.3f} ms')
        self.table.add('query mix, one at a time: p99', db.name, all_['p99'], f'{all_["p99"]:.3f} ms')

    # ---- the report ----

    def kinds_markdown(self):
        servers = list(self.kinds)
        out = ['| kind | n | ' + ' | '.join(f'{s}: p50 / p90 / p99 / max' for s in servers) + ' |',
               '|' + '---|' * (len(servers) + 2)]
        for kind, row in self.kinds[servers[0]].items():
            cells = [self.times(self.kinds[s][kind]) if kind in self.kinds[s] else 'cannot' for s in servers]
            out.append(f'| {kind} | {row["n"]} | ' + ' | '.join(cells) + ' |')
        return '\n'.join(out)

    def panels(self):
        out = []
        if self.kinds:
            kinds = list(self.kinds['Tailfin'])
            series = {f'{s} {p}': [self.kinds[s].get(k, {}).get(p) for k in kinds]
                      for s in self.kinds for p in ('p50', 'p99')}
            out.append(svg.Panel('Time of a search by kind, one at a time', 'ms', 1000).bars(kinds, series))
        sizes = [int(s) for s in self.args.sizes.split(',')]
        for server, kinds in self.growth.items():
            panel = svg.Panel(f'{server}: p50 as the collection grows (names)', 'ms', 1000)
            out.append(panel.lines(sizes, kinds, lambda n: f'{n:,}'))
        return out

    def report(self):
        name = os.path.basename(self.args.out) if self.args.out else ''
        a = self.args
        out = [f'# Searches, {time.strftime("%Y-%m-%d", time.gmtime())}', '',
               f'Machine: {machine()}. Before each measurement other programs used '
               f'{100 * statistics.mean(self.busy):.0f} % of it (at most {100 * max(self.busy):.0f} %)'
               + (f'; everything here ran at nice {os.nice(0)}.' if os.nice(0) else '.'), '',
               f'Corpus: {a.emotes:,} emotes, {a.users:,} users, 120 roles, {a.queries:,} searches, seed {a.seed} '
               f'(bench/make_corpus.py); every measurement {a.seconds:g} s.', '', self.table.markdown()]
        if self.kinds:
            out += ['', '## By kind, one at a time', '', self.kinds_markdown()]
        panels = self.panels()
        if panels and name:
            svg.write(f'{a.out}.svg', panels)
            out += ['', f'![plot]({name}.svg)']
        text = '\n'.join(out) + '\n'
        print('\n' + text)
        if a.out:
            with open(f'{a.out}.md', 'w', encoding='utf-8') as f:
                f.write(text)


class Updates:
    """Sets a score of random emotes at a fixed rate, UPDATE_LINES a request, over a few connections, and watches the
    number of segments."""

    def __init__(self, server, corpus, per_second):
        rng = random.Random(5)
        with open(f'{corpus}/emotes.jsonl', encoding='utf-8') as f:
            ids = [json.loads(line)['id'] for line in f]
        self.bodies = [''.join(f'{{"id":"{rng.choice(ids)}","score_top_daily":{rng.randrange(10 ** 6)}}}\n'
                               for _ in range(UPDATE_LINES)).encode() for _ in range(500)]
        self.server = server
        self.period = UPDATE_LINES / per_second
        self.n_segments, self.took, self.is_over = [], [], False
        self.threads = [threading.Thread(target=self.write, args=(i,)) for i in range(UPDATE_CONNECTIONS)]

    def write(self, i):
        """Every UPDATE_CONNECTIONS-th request, from the i-th."""
        server = Api(self.server.name, self.server.host, self.server.port, self.server.key)
        while not self.is_over:
            time.sleep(max(0, self.begin + i * self.period - time.monotonic()))
            begin = time.monotonic()
            status, answer = server.ask('POST', '/collections/emotes/documents/import?action=update',
                                        self.bodies[i % len(self.bodies)])
            if status != 200 or answer.count(b'"success":true') != UPDATE_LINES:
                raise RuntimeError(f'updates answered {status}: {answer[:200]}')
            self.took.append(time.monotonic() - begin)
            if i % (8 * UPDATE_CONNECTIONS) == 0:
                self.n_segments.append(self.server.n_segments())
            i += UPDATE_CONNECTIONS

    def start(self):
        self.begin = time.monotonic()
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()
        self.seconds = time.monotonic() - self.begin

    def rate(self):
        return len(self.took) * UPDATE_LINES / self.seconds

    def quantile(self, q):
        return sorted(self.took)[int(q * (len(self.took) - 1))] * 1000


def main():
    args = arguments()
    steps = args.only.split(',')
    if unknown := set(steps) - set(STEPS):
        sys.exit(f'no such step: {", ".join(sorted(unknown))}; there are {", ".join(STEPS)}')
    bench = Bench(args)
    try:
        for step in steps:
            (bench.growth_step if step == 'growth' else getattr(bench, step))()
        if args.mongodb:
            bench.mongodb()
    finally:
        bench.tailfin.stop()
    bench.report()


if __name__ == '__main__':
    main()
