#!/usr/bin/env python3
"""What it costs to serve from Typesense, and to compare with it; a second Tailfin plays Typesense.

  bench/forward.py [--program build/release/tailfin] [--emotes 300000 --users 160000 --queries 3000 --seed 23]
                   [--rounds 3] [--seconds 5] [--only overhead,shadow] [--out bench/results/DATE-forward]

overhead: the query mix asked of the other side directly and by way of Tailfin, one search at a time over one connection,
then open loop over 8 at a third of the rate that Tailfin manages so. shadow: the same open loop with --shadow off and with
--shadow typesense --shadow-percent 10. Rounds alternate, the medians are compared.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import urllib.parse

from make_corpus import CACHE, ROOT
from search import busy_share, machine
from servers import Tailfin


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--program', default=f'{ROOT}/build/release/tailfin')
    a.add_argument('--keep', default=f'{CACHE}/bench')
    a.add_argument('--only', default='overhead,shadow')
    a.add_argument('--out')
    for name, n in (('emotes', 300000), ('users', 160000), ('queries', 3000), ('seed', 23), ('rounds', 3)):
        a.add_argument(f'--{name}', type=int, default=n)
    a.add_argument('--seconds', type=float, default=5)
    return a.parse_args()


def corpus(args):
    """The one of search.py, made if absent."""
    sizes = {'emotes': args.emotes, 'users': args.users, 'queries': args.queries}
    path = f'{args.keep}/7tv-' + '-'.join(f'{k}{v}' for k, v in sizes.items()) + f'-seed{args.seed}'
    if not os.path.exists(f'{path}/schemas.json'):
        flags = [x for k, v in sizes.items() for x in (f'--{k}', str(v))]
        subprocess.run([sys.executable, f'{ROOT}/bench/make_corpus.py', '7tv', path, '--seed', str(args.seed), *flags],
                       check=True)
    return path


class Bench:
    def __init__(self, args, scratch):
        self.args, self.scratch, self.lines = args, scratch, []
        self.corpus = corpus(args)
        self.requests = f'{scratch}/requests.txt'
        with open(f'{self.corpus}/queries.jsonl', encoding='utf-8') as f, open(self.requests, 'w', encoding='utf-8') as out:
            for q in map(json.loads, f):
                out.write(f'{q["kind"]}\t/collections/{q["collection"]}/documents/search?'
                          f'{urllib.parse.urlencode(q["params"])}\n')

    def say(self, text):
        print(text, flush=True)
        self.lines.append(text)

    def server(self, name, *flags):
        keep = f'{self.scratch}/{name}'
        os.mkdir(keep)
        return Tailfin(self.args.program, keep, flags)

    def replay(self, server, connections, rate=0):
        out = subprocess.run(
            [f'{os.path.dirname(self.args.program)}/bench/bench_search', self.requests, '--port', str(server.port),
             '--key', server.key, '--connections', str(connections), '--rate', str(rate), '--seconds',
             str(self.args.seconds), '--warm-up', '1', '--format', 'json'], stdout=subprocess.PIPE, text=True, check=True)
        report = json.loads(out.stdout)
        if report['errors'] or report['lost']:
            sys.exit(f'{report["errors"]} errors, {report["lost"]} lost connections')
        return report

    def row(self, title, reports):
        """The medians over the rounds."""
        rows = [next(r for r in report['ms'] if r['kind'] == 'all') for report in reports]
        result = {p: statistics.median(r[p] for r in rows) for p in ('p50', 'p90', 'p99')}
        result['per_second'] = statistics.median(report['per_second'] for report in reports)
        self.say(f'| {title} | {result["p50"]:.3f} | {result["p90"]:.3f} | {result["p99"]:.3f} | '
                 f'{min(r["p50"] for r in rows):.3f}..{max(r["p50"] for r in rows):.3f} | '
                 f'{min(r["p99"] for r in rows):.3f}..{max(r["p99"] for r in rows):.3f} | {result["per_second"]:.0f} |')
        return result

    def head(self, title):
        self.say(f'\n## {title}\n\nOthers kept {busy_share() * 100:.0f} % of the machine busy.\n')
        self.say('| what | p50 ms | p90 ms | p99 ms | p50 by round | p99 by round | searches/s |\n|---|---|---|---|---|---|---|')

    def both(self, title, names, sides, connections, rate=0):
        """Rounds of the one and of the other side in turns; the medians of each, and what the second has more."""
        self.head(title)
        reports = [[], []]
        for i in range(self.args.rounds):
            for k in ((0, 1), (1, 0))[i % 2]:
                reports[k].append(self.replay(sides[k], connections, rate))
        a, b = (self.row(name, r) for name, r in zip(names, reports))
        self.say(f'\nat p50 {b["p50"] - a["p50"]:+.3f} ms; at p99 {b["p99"] - a["p99"]:+.3f} ms, {b["p99"] / a["p99"]:.2f} times')
        return b['p50'] - a['p50'], b['p99'] < max(1.2 * a['p99'], a['p99'] + 2)

    def third(self, server):
        """A third of the most that it answers over 8 connections."""
        return int(self.replay(server, 8)['per_second'] / 3)

    def overhead(self, up):
        proxy = self.server('proxy', '--serve-from', 'typesense', '--typesense-url', f'http://127.0.0.1:{up.port}',
                            '--typesense-api-key', up.key)
        proxy.start()
        names, rate = ('direct', 'by way of Tailfin'), self.third(proxy)
        alone, _ = self.both('Serving from the other side, one search at a time', names, (up, proxy), 1)
        open_loop, _ = self.both(f'Serving from the other side, open loop at {rate} searches/s, a third of the most that way',
                                 names, (up, proxy), 8, rate)
        self.say(f'bar: 0.15 ms more at p50: {alone:.3f} ms one at a time, {open_loop:.3f} ms in the open loop')
        proxy.stop()

    def shadow(self, up):
        sides = [self.server('plain'),
                 self.server('shadowed', '--shadow', 'typesense', '--shadow-percent', '10', '--typesense-url',
                             f'http://127.0.0.1:{up.port}', '--typesense-api-key', up.key)]
        for s in sides:
            s.start()
            s.load(self.corpus)
            s.settle()
        rate = self.third(sides[0])
        _, is_same = self.both(f'Shadow mode at 10 %, open loop at {rate} searches/s, a third of the most',
                               ('without', 'with shadow'), sides, 8, rate)
        self.say(f'bar: p99 under 1.2 times, or 2 ms more: {"held" if is_same else "missed"}')
        status, text = sides[1].ask('GET', '/metrics')
        seen = dict(line.rsplit(' ', 1) for line in text.decode().splitlines() if line.startswith('tailfin_shadow_'))
        self.say('compared {}, with equal found {}, errors {}, dropped {}'.format(
            *(seen[f'tailfin_shadow_{m}_total'] for m in ('searches', 'found_equal', 'errors', 'dropped'))))
        for s in sides:
            s.stop()


def run(args):
    with tempfile.TemporaryDirectory(prefix='tailfin-forward-') as scratch:
        bench = Bench(args, scratch)
        bench.say(f'# Forwarding and shadow mode\n\n{machine()}; the server that plays Typesense, too')
        up = bench.server('up')
        up.start()
        up.load(bench.corpus)
        up.settle()
        for step in args.only.split(','):
            {'overhead': bench.overhead, 'shadow': bench.shadow}[step](up)
        up.stop()
        if args.out:
            with open(f'{args.out}.md', 'w', encoding='utf-8') as f:
                f.write('\n'.join(bench.lines) + '\n')


run(arguments())
