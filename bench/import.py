#!/usr/bin/env python3
"""What an import costs: documents a second, processor time, and the memory of the process while it runs.

  bench/import.py [--mb 1024] [--runs 3] [--program build/release/tailfin] [--keep DIR] [--searches]
                  [--maps] [--tiny N] [--flag=--ram-segments-mb=64 ...]

Sends so many megabytes of emotes (bench/make_corpus.py; after the first round through them with new ids and numbered
names) over one chunked stream into an empty standalone server. The bar: at no moment does the process have more
resident than the index takes on disk afterwards and 64 MB; everything counts that the kernel calls resident, pages of
mapped files too, and of the directory only segments and the manifest. --searches asks the collection 50 times a second
meanwhile; --maps prints what the memory was at its peak; --tiny sends N documents of a few bytes each instead.
"""
import argparse
import glob
import http.client
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse

from make_corpus import CACHE, ROOT
from servers import Tailfin

MB = 1 << 20
ALLOWED_BYTES = 64 * MB
PART_LINES = 2000
SAMPLE_S = .02
MAPS_S = .25
SEARCHES_PER_S = 50
TINY_SCHEMA = {'name': 'emotes', 'fields': [{'name': 'n', 'type': 'int32'}]}


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--mb', type=int, default=1024)
    a.add_argument('--runs', type=int, default=3)
    a.add_argument('--tiny', type=int, default=0)
    a.add_argument('--emotes', type=int, default=300000)
    a.add_argument('--searches', action='store_true')
    a.add_argument('--maps', action='store_true')
    a.add_argument('--program', default=f'{ROOT}/build/release/tailfin')
    a.add_argument('--keep', default=f'{CACHE}/bench')
    a.add_argument('--flag', action='append', default=[])
    return a.parse_args()


class Emotes:
    """Parts of lines, endlessly; of a first and later rounds."""

    def __init__(self, args):
        path = f'{args.keep}/7tv-emotes{args.emotes}-users160000-queries3000-seed23'
        if not os.path.exists(f'{path}/schemas.json'):
            subprocess.run([sys.executable, f'{ROOT}/bench/make_corpus.py', '7tv', path, '--emotes', str(args.emotes)],
                           check=True)
        with open(f'{path}/schemas.json', encoding='utf-8') as f:
            self.schema = next(s for s in json.load(f) if s['name'] == 'emotes')
        self.path, self.bytes_max = f'{path}/emotes.jsonl', args.mb * MB

    def parts(self):
        n_sent = 0
        for turn in itertools.count():
            with open(self.path, encoding='utf-8') as f:
                while lines := [line for _, line in zip(range(PART_LINES), f)]:
                    if turn:
                        lines = [self.renamed(line, turn) for line in lines]
                    part = ''.join(lines).encode()
                    n_sent += len(part)
                    yield part
                    if n_sent >= self.bytes_max:
                        return

    @staticmethod
    def renamed(line, turn):
        """The id's last digits tell the turn, as does a number behind the name."""
        line = re.sub(r'"id":"(.{24})..', lambda m: f'"id":"{m[1]}{turn:02}', line, count=1)
        return re.sub(r'("default_name":"(?:[^"\\]|\\.)*)"', lambda m: f'{m[1]}{turn}"', line, count=1)


class Tiny:
    """As many documents as possible in few bytes: each has a line of outcome."""

    schema = TINY_SCHEMA

    def __init__(self, args):
        self.n = args.tiny

    def parts(self):
        for first in range(0, self.n, PART_LINES):
            yield ''.join(f'{{"n":{i}}}\n' for i in range(first, min(self.n, first + PART_LINES))).encode()


class Memory(threading.Thread):
    """Looks at the process many times a second."""

    def __init__(self, server, has_maps):
        super().__init__(daemon=True)
        self.server, self.has_maps = server, has_maps
        self.peak = self.anonymous = self.directory = 0
        self.maps, self.maps_peak = {}, 0
        self.is_over = False

    def run(self):
        next_maps = 0
        while not self.is_over:
            now = time.monotonic()
            with open(f'/proc/{self.server.process.pid}/status', encoding='ascii', errors='replace') as f:
                kb = {k: int(v.split()[0]) for k, _, v in (line.partition(':') for line in f) if k[:2] in ('Vm', 'Rs')}
            self.peak = max(self.peak, kb['VmHWM'] * 1024)
            self.anonymous = max(self.anonymous, kb['RssAnon'] * 1024)
            if now >= next_maps:
                next_maps = now + MAPS_S
                self.directory = max(self.directory, directory_bytes(self.server, '*'))
                if self.has_maps and kb['VmRSS'] > self.maps_peak:
                    self.maps_peak, self.maps = kb['VmRSS'], resident_by_kind(self.server.process.pid)
            time.sleep(SAMPLE_S)


def resident_by_kind(pid):
    """{kind of mapping: resident bytes}."""
    out, kind = {}, ''
    with open(f'/proc/{pid}/smaps', encoding='ascii', errors='replace') as f:
        for line in f:
            words = line.split()
            if re.match(r'[0-9a-f]+-[0-9a-f]+ ', line):
                name = words[5] if len(words) > 5 else 'anonymous'
                kind = name.rpartition('.')[2] if name.endswith(('.seg', '.log')) else name.rpartition('/')[2]
                if line.rstrip().endswith('(deleted)'):
                    kind += ' (deleted)'
            elif words[0] == 'Rss:':
                out[kind] = out.get(kind, 0) + int(words[1]) * 1024
    return out


def directory_bytes(server, pattern):
    n = 0
    for path in glob.glob(f'{server.directory}/{pattern}'):
        try:
            n += os.path.getsize(path)
        except FileNotFoundError:  # merged away meanwhile
            pass
    return n


class Searches(threading.Thread):
    """Searches of the collection that grows, at a fixed rate."""

    WORDS = ('kappa', 'pepe', 'cat', 'lul', 'hype', 'sad', 'dance', 'love', 'ez', 'monka')

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.is_over, self.took, self.n_bad = server, False, [], 0

    def run(self):
        c = http.client.HTTPConnection(self.server.host, self.server.port, timeout=60)
        begin = time.monotonic()
        for i in itertools.count():
            due = begin + i / SEARCHES_PER_S
            time.sleep(max(0, due - time.monotonic()))
            if self.is_over:
                return
            query = urllib.parse.urlencode({'q': self.WORDS[i % len(self.WORDS)], 'query_by': 'default_name,tags',
                                            'sort_by': 'score_top_all_time:desc', 'per_page': 20})
            c.request('GET', f'/collections/emotes/documents/search?{query}',
                      headers={'X-TYPESENSE-API-KEY': self.server.key})
            answer = c.getresponse()
            self.n_bad += answer.status != 200
            answer.read()
            self.took.append(time.monotonic() - due)


def send(server, corpus):
    """(lines of outcome, bytes sent); every line must tell of success."""
    n_sent = 0

    def parts():
        nonlocal n_sent
        for part in corpus.parts():
            n_sent += len(part)
            yield part

    c = http.client.HTTPConnection(server.host, server.port, timeout=600)
    c.request('POST', '/collections/emotes/documents/import?action=upsert', parts(),
              {'X-TYPESENSE-API-KEY': server.key}, encode_chunked=True)
    n_lines = 0
    answer = c.getresponse()
    for line in answer:
        n_lines += 1
        if b'"success":true' not in line:
            raise RuntimeError(f'import answered {answer.status}: {line[:300]}')
    return n_lines, n_sent


def run(args, corpus):
    """True if the memory stayed under the bar."""
    server = Tailfin(args.program, args.keep, args.flag)
    try:
        server.start(is_empty=True)
        server.ask('POST', '/collections', json.dumps(corpus.schema))
        memory = Memory(server, args.maps)
        searches = Searches(server) if args.searches else None
        memory.start()
        if searches:
            searches.start()
        begin = time.monotonic()
        n_lines, n_sent = send(server, corpus)
        seconds, cpu_s = time.monotonic() - begin, server.cpu_seconds()
        if searches:
            searches.is_over = True
            searches.join()
        server.settle()
        memory.is_over = True
        memory.join()
        at_rest = server.memory()
    finally:
        server.stop()
    index = directory_bytes(server, '*.seg') + directory_bytes(server, 'MANIFEST')
    shutil.rmtree(server.directory)
    limit = index + ALLOWED_BYTES
    print(f'{n_sent / MB:.0f} MB, {n_lines} documents in {seconds:.1f} s = {n_lines / seconds:.0f}/s, '
          f'{cpu_s * 1e6 / n_lines:.1f} us of processor time each')
    print(f'  peak {memory.peak / MB:.0f} MB resident = {memory.peak / limit * 100:.0f} % of the {limit / MB:.0f} MB '
          f'allowed; anonymous at most {memory.anonymous / MB:.0f} MB; at rest {at_rest["anon"] / MB:.0f} MB anonymous, '
          f'{at_rest["mapped"] / MB:.0f} MB mapped')
    print(f'  directory {index / MB:.0f} MB afterwards, at most {memory.directory / MB:.0f} MB with the log and merges')
    for kind, n in sorted(memory.maps.items(), key=lambda m: -m[1])[:8]:
        print(f'    {n / MB:7.1f} MB {kind}')
    if searches:
        took = sorted(searches.took)
        print(f'  {len(took)} searches, {searches.n_bad} refused, p50 {took[len(took) // 2] * 1000:.1f} ms, '
              f'p99 {took[len(took) * 99 // 100] * 1000:.1f} ms')
    sys.stdout.flush()
    return memory.peak <= limit


def main():
    args = arguments()
    args.keep = os.path.abspath(args.keep)
    os.makedirs(args.keep, exist_ok=True)
    corpus = Tiny(args) if args.tiny else Emotes(args)
    good = [run(args, corpus) for _ in range(args.runs)]
    print(f'under the bar: {sum(good)} of {len(good)}')


if __name__ == '__main__':
    main()
