#!/usr/bin/env python3
"""The figures of the main job, on a real MongoDB: one command, a table.

  bench/mongo.py [--program build/release/tailfin] [--seconds 300] [--only bootstrap,restart,fresh,burst,writeback]
                 [--emotes 300000 --users 160000 --sets 44000 --edges 5000] [--keep DIR]

Starts a one-node replica set (scripts/mongod.sh) and fills it (tailfin-seed), both kept in DIR for the next run: which
finds the database in files, not in mongod's cache, so the first run tells the speed of a bootstrap.
"""
import argparse
import http.client
import json
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KEY = 'bench'


def cpu_s(pid):
    """Processor time of all threads, also those that have ended."""
    with open(f'/proc/{pid}/stat') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def options():
    """What the benches on a MongoDB have in common."""
    a = argparse.ArgumentParser(add_help=False)
    a.add_argument('--program', default=f'{ROOT}/build/release/tailfin')
    a.add_argument('--keep', default=os.path.expanduser('~/.cache/tailfin/bench'))
    a.add_argument('--port', type=int, default=8218)
    a.add_argument('--seconds', type=int, default=300)
    for name, n in (('emotes', 300000), ('users', 160000), ('sets', 44000), ('edges', 5000), ('images', 20), ('entries', 1000)):
        a.add_argument(f'--{name}', type=int, default=n)
    return a


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                parents=[options()])
    a.add_argument('--only', default='bootstrap,restart,fresh,burst,writeback')
    return a.parse_args()


class Bench:
    def __init__(self, args):
        self.args = args
        self.programs = os.path.join(os.path.dirname(args.program), 'bench')
        self.mongo = f'{args.keep}/mongodb'
        self.rows = []

    def row(self, what, figure):
        self.rows.append((what, figure))
        print(f'{what:48} {figure}', flush=True)

    def start_mongodb(self):
        env = {**os.environ, 'TAILFIN_MONGOD_CACHE_GB': '1', 'TAILFIN_MONGOD_OPLOG_MB': '4096'}
        subprocess.run([f'{ROOT}/scripts/mongod.sh', 'stop', self.mongo], check=True)
        out = subprocess.run([f'{ROOT}/scripts/mongod.sh', 'start', self.mongo], env=env, stdout=subprocess.PIPE,
                             text=True, check=True).stdout.strip()
        self.uri = out.replace('/?', '/bench?')
        numbers = [x for n in ('emotes', 'users', 'sets', 'edges', 'images', 'entries')
                   for x in (f'--{n}', str(getattr(self.args, n)))]
        subprocess.run([f'{self.programs}/tailfin-seed', self.uri, '--data', f'{ROOT}/bench/data', *numbers], check=True)

    def start(self, *flags):
        self.log = open(f'{self.args.keep}/tailfin.log', 'ab')
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [self.args.program, 'serve', '--listen', f'127.0.0.1:{self.args.port}', '--data-dir',
             f'{self.args.keep}/index', '--mongodb-uri', self.uri, '--api-key', KEY, *flags],
            stdout=self.log, stderr=self.log)
        while True:
            if self.process.poll() is not None:
                sys.exit(f'tailfin ended: see {self.args.keep}/tailfin.log')
            try:
                if self.get('/health')[0] == 200:
                    return time.monotonic() - begin
            except OSError:
                pass
            time.sleep(0.002 if time.monotonic() < begin + 0.5 else 0.05) # else asking would cost a tenth of the machine

    def stop(self):
        begin = time.monotonic()
        self.process.terminate()
        status = self.process.wait(30)
        if status != 0:
            sys.exit(f'tailfin exited with {status}')
        return time.monotonic() - begin

    def ask(self, method, path):
        c = http.client.HTTPConnection('127.0.0.1', self.args.port, timeout=60)
        c.request(method, path, headers={'X-TYPESENSE-API-KEY': KEY})
        r = c.getresponse()
        return r.status, r.read()

    def get(self, path):
        return self.ask('GET', path)

    def cpu_s(self):
        """Processor time of Tailfin and of MongoDB so far."""
        with open(f'{self.mongo}/mongod.pid') as f:
            return cpu_s(self.process.pid), cpu_s(int(f.read()))

    def rss_mb(self):
        with open(f'/proc/{self.process.pid}/status') as f:
            values = {l.split(':')[0]: l.split()[1] for l in f if l.startswith('Rss')}
        return int(values['RssAnon']) / 1024, int(values['RssFile']) / 1024

    def run_tool(self, name, *flags):
        out = subprocess.run([f'{self.programs}/{name}', self.uri, f'http://127.0.0.1:{self.args.port}', KEY, *flags],
                             cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for line in out.stdout.splitlines():
            self.row(name, line)
        if out.returncode != 0:
            self.row(name, f'FAILED with status {out.returncode}')

    def bootstrap(self):
        shutil.rmtree(f'{self.args.keep}/index', ignore_errors=True)
        took = self.start()
        n = self.args.emotes + self.args.users + self.args.sets + self.args.edges
        anon, mapped = self.rss_mb()
        self.row('bootstrap', f'{n} documents in {took:.1f} s = {n / took:.0f}/s; RSS {anon:.0f} MB + {mapped:.0f} MB mapped')
        for name in ('emotes', 'users', 'emote_sets'):
            body = json.loads(self.get(f'/collections/{name}')[1])
            self.row('bootstrap', f'{name}: {body["num_documents"]} documents')
        self.row('stop (SIGTERM)', f'{self.stop():.2f} s')

    def restart(self):
        took = self.start()
        begin = time.monotonic()
        found = json.loads(self.get('/collections/emotes/documents/search?q=*&query_by=&per_page=0')[1])['found']
        anon, mapped = self.rss_mb()
        self.row('start on that index until complete', f'{took:.3f} s, {found} emotes in {(time.monotonic() - begin) * 1000:.1f} ms, RSS {anon:.0f} MB + {mapped:.0f} MB mapped')
        self.row('stop (SIGTERM)', f'{self.stop():.2f} s')

    def fresh(self):
        self.start()
        self.run_tool('bench_fresh', '--rate', '500', '--seconds', str(self.args.seconds), '--emotes', str(self.args.emotes))
        self.stop()

    def burst(self):
        self.start()
        self.run_tool('bench_burst')
        self.stop()

    def writeback(self):
        self.start('--writeback', 'full')
        self.run_tool('bench_burst', '--writeback')
        self.stop()

    def table(self):
        with open('/proc/loadavg') as f:
            print('load average', f.read().strip())
        print('\n| what | figure |\n|---|---|')
        for what, figure in self.rows:
            print(f'| {what} | {figure} |')


def main():
    args = arguments()
    os.makedirs(args.keep, exist_ok=True)
    bench = Bench(args)
    bench.start_mongodb()
    try:
        for name in args.only.split(','):
            getattr(bench, name)()
    finally:
        if getattr(bench, 'process', None) and bench.process.poll() is None:
            bench.process.kill()
        subprocess.run([f'{ROOT}/scripts/mongod.sh', 'stop', bench.mongo])
    bench.table()


if __name__ == '__main__':
    main()
