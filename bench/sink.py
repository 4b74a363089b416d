#!/usr/bin/env python3
"""The Typesense sink's figures, on a real MongoDB, into Tailfin's own standalone mode on the same machine.

  bench/sink.py [--program build/release/tailfin] [--only fill,stall] [--emotes 340000 --users 160000]
                [--stall 600 --rate 2000] [--keep DIR] [--url URL --key KEY]

fill: documents per second from an index to an empty cluster, and the memory that takes. stall: the cluster is stopped
for --stall seconds while --rate documents a second change; then the time until nothing is owed, what differs, and the
memory. With --url it is a real Typesense that is filled (and nothing is stopped).
"""
import argparse
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import mongo

KEY = mongo.KEY


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--program', default=f'{mongo.ROOT}/build/release/tailfin')
    a.add_argument('--keep', default=os.path.expanduser('~/.cache/tailfin/bench-sink'))
    a.add_argument('--port', type=int, default=8228)
    a.add_argument('--only', default='fill,stall')
    a.add_argument('--stall', type=int, default=600)
    a.add_argument('--rate', type=int, default=2000)
    a.add_argument('--connections', type=int, default=2)
    a.add_argument('--url')
    a.add_argument('--key', default=KEY)
    for name, n in (('emotes', 340000), ('users', 160000), ('sets', 0), ('edges', 0), ('images', 2), ('entries', 10)):
        a.add_argument(f'--{name}', type=int, default=n)
    return a.parse_args()


class Sink(mongo.Bench):
    def start_target(self):
        if self.args.url:
            self.target, self.url = None, self.args.url
            return
        port = self.args.port + 1
        self.url = f'http://127.0.0.1:{port}'
        shutil.rmtree(f'{self.args.keep}/target', ignore_errors=True)
        self.target = subprocess.Popen([self.args.program, 'serve', '--listen', f'127.0.0.1:{port}', '--data-dir',
                                        f'{self.args.keep}/target', '--api-key', KEY], stdout=self.log, stderr=self.log)

    def status(self):
        return json.loads(self.get('/admin/status')[1])['source']['typesense']

    def follows(self):
        s = self.status()
        return s['state'] == 'following' and s['pending'] == 0

    def wait(self, what):
        while not what():
            time.sleep(.02)

    def feed(self):
        return self.start('--backend', 'both', '--typesense-url', self.url, '--typesense-api-key', self.args.key,
                          '--typesense-connections', str(self.args.connections), '--lease-s', '2',
                          '--typesense-timeout-s', '5')

    def rest(self):
        """Merges of what was just built are not the sink's: until the process has done little for 3 s."""
        n_quiet, busy = 0, mongo.cpu_s(self.process.pid)
        while n_quiet < 3:
            time.sleep(1)
            n_quiet = n_quiet + 1 if mongo.cpu_s(self.process.pid) - busy < .05 else 0
            busy = mongo.cpu_s(self.process.pid)

    def fill(self):
        """The index is there already, so that the sink is measured and not MongoDB."""
        shutil.rmtree(f'{self.args.keep}/index', ignore_errors=True)
        self.start()
        self.stop()
        self.start()  # what the same process holds without a sink, on the same index
        self.rest()
        before = self.rss_mb()[0]
        self.stop()
        self.start_target()
        time.sleep(1)
        self.feed()
        peak, n = 0, self.args.emotes + self.args.users + self.args.sets
        self.wait(lambda: self.status()['state'] == 'building')
        begin, processes = time.monotonic(), [p for p in (self.process, self.target) if p]
        cpu = [mongo.cpu_s(p.pid) for p in processes]
        while not self.follows():
            peak = max(peak, self.rss_mb()[0])
            time.sleep(.05)
        took = time.monotonic() - begin
        spent = [mongo.cpu_s(p.pid) - c for p, c in zip(processes, cpu)]
        self.row('fill', f'{n} documents in {took:.1f} s = {n / took:.0f}/s; CPU {" + ".join(f"{s:.1f}" for s in spent)} s '
                         f'(feeding + fed), {sum(spent) / took:.2f} cores; anonymous memory {peak:.0f} MB at most, '
                         f'{before:.0f} MB without the sink')

    def changes(self, seconds):
        """Score runs as one update each: as many changed documents a second as asked for."""
        admin = subprocess.run([f'{mongo.ROOT}/scripts/mongod.sh', 'admin'], stdout=subprocess.PIPE, text=True,
                               check=True).stdout.strip()
        shell = subprocess.Popen([admin, self.uri, 'bench', '-'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def run(command):
            shell.stdin.write(json.dumps(command) + '\n')
            shell.stdin.flush()
            return json.loads(shell.stdout.readline())
        ids = [d['_id'] for d in run({'find': 'emotes', 'projection': {'_id': 1}, 'batchSize': 100000,
                                      'limit': 100000, 'singleBatch': True})['cursor']['firstBatch']]
        begin, n, peak = time.monotonic(), 0, 0
        while time.monotonic() < begin + seconds:
            part = [ids[(n + i) % len(ids)] for i in range(self.args.rate // 4)]
            reply = run({'update': 'emotes', 'updates': [
                {'q': {'_id': {'$in': part}}, 'multi': True,
                 'u': {'$inc': {'scores.trending_day': 1}, '$currentDate': {'updated_at': True}}}]})
            n += len(part)
            if not reply.get('ok'):
                sys.exit(f'update: {reply}')
            peak = max(peak, self.rss_mb()[0])
            time.sleep(max(0, begin + n / self.args.rate - time.monotonic()))
        shell.stdin.close()
        shell.wait()
        return n, peak

    def export(self, port, collection):
        c = http.client.HTTPConnection('127.0.0.1', port, timeout=600)
        c.request('GET', f'/collections/{collection}/documents/export', headers={'X-TYPESENSE-API-KEY': KEY})
        return dict((json.loads(l)['id'], l.strip()) for l in c.getresponse())

    def stall(self):
        self.target.send_signal(signal.SIGSTOP)
        n, peak = self.changes(self.args.stall)
        owed = self.status()['pending']
        self.target.send_signal(signal.SIGCONT)
        begin = time.monotonic()
        time.sleep(2)
        self.wait(self.follows)
        took = time.monotonic() - begin
        here, there = self.export(self.args.port, 'emotes'), self.export(self.args.port + 1, 'emotes')
        wrong = sum(there.get(id) != text for id, text in here.items()) + len(there.keys() - here.keys())
        self.row('stall', f'{self.args.stall} s with {n} changes ({n / self.args.stall:.0f}/s): {owed} owed at its end, '
                          f'nothing owed {took:.1f} s later, {wrong} of {len(here)} differ; '
                          f'anonymous memory {peak:.0f} MB at most')

    def end(self):
        self.stop()
        if self.target:
            self.target.terminate()
            self.target.wait(30)


def main():
    bench = Sink(arguments())
    os.makedirs(bench.args.keep, exist_ok=True)
    bench.start_mongodb()
    try:
        for name in bench.args.only.split(','):
            getattr(bench, name)()
        bench.end()
    finally:
        for process in (getattr(bench, 'process', None), getattr(bench, 'target', None)):
            if process and process.poll() is None:
                process.kill()
        subprocess.run([f'{mongo.ROOT}/scripts/mongod.sh', 'stop', bench.mongo], check=False)
    with open('/proc/loadavg') as f:
        print(f'load average at the end: {f.read().strip()}')


if __name__ == '__main__':
    main()
