"""What the journey tests share: a Tailfin process, requests to it, MongoDB through scripts/mongod.sh.
Standard library only."""
import ctypes
import glob
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KEY = 'journey-key'


class Failure(Exception):
    pass


def check(ok, text):
    if not ok:
        raise Failure(text)


def seed():
    """The seed of this run: TAILFIN_SEED, or a fresh one; printed, so that a failure can be repeated."""
    s = int(os.environ.get('TAILFIN_SEED') or random.SystemRandom().randrange(1 << 31))
    print(f'seed {s} (TAILFIN_SEED repeats it)', flush=True)
    return random.Random(s)


def scale(name, default):
    """A campaign's size: scripts/campaign.sh raises it through the environment."""
    return int(os.environ.get(name, default))


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def environment():
    """Ours, without the variables of the tests, which the program would take for its own."""
    return {k: v for k, v in os.environ.items() if not k.startswith('TAILFIN_')}


def die_with_parent():
    """For preexec_fn: nothing outlives a test, however it ends."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Scratch:
    """A directory that goes when the test ends."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix='tailfin-journey-')
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


class Tailfin:
    def __init__(self, program, directory, *flags, port=None, env=None):
        self.key = KEY
        self.program, self.directory, self.flags = program, directory, flags
        self.port = port or free_port()
        self.env = env
        self.process = None
        self.log_path = directory + '.log'

    def start(self, wait=True, timeout=60):
        begin = time.monotonic()
        self.log = open(self.log_path, 'ab')
        self.process = subprocess.Popen(
            [self.program, 'serve', '--listen', f'127.0.0.1:{self.port}', '--data-dir', self.directory,
             '--api-key', KEY, *self.flags],
            stdout=self.log, stderr=self.log, env={**environment(), **(self.env or {})},
            preexec_fn=die_with_parent)
        if wait:
            self.wait_healthy(timeout)
        return time.monotonic() - begin

    def wait_healthy(self, timeout=60):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            check(self.process.poll() is None, f'tailfin ended by itself:\n{self.tail()}')
            try:
                if self.ask('GET', '/health')[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.005)
        try:
            status = json.dumps(self.ask('GET', '/admin/status')[1])
        except OSError as e:
            status = str(e)
        raise Failure(f'not healthy after {timeout} s:\n{self.tail()}\n{status}')

    def tail(self, n=30):
        with open(self.log_path, errors='replace') as f:
            return ''.join(f.readlines()[-n:])

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            left = glob.glob(f'/dev/shm/*[!0-9]{self.process.pid}')
            self.process = None
            check(not left, f'a killed process leaves {left}')

    def stop(self, timeout=5):
        """SIGTERM; must exit 0 within the timeout."""
        if not self.process:
            return
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout + 20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure('did not stop at all')
        took = time.monotonic() - begin
        self.process = None
        check(status == 0, f'exit status {status}:\n{self.tail()}')
        # Sanitizers make everything slower.
        check(took <= timeout * (3 if 'dev' in self.program or 'tsan' in self.program else 1),
              f'took {took:.1f} s to stop')

    def connection(self, timeout=60):
        return http.client.HTTPConnection('127.0.0.1', self.port, timeout=timeout)

    def ask(self, method, path, body=None, key=KEY, connection=None, raw=False):
        c = connection or self.connection()
        headers = {'X-TYPESENSE-API-KEY': key} if key else {}
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        c.request(method, path, body=body, headers=headers)
        r = c.getresponse()
        data = r.read()
        if not connection:
            c.close()
        if raw:
            return r.status, data
        try:
            return r.status, json.loads(data) if data else None
        except ValueError:
            return r.status, data.decode('utf-8', 'replace')

    def search(self, collection, q='*', connection=None, **params):
        p = urllib.parse.urlencode({'q': q, **params})
        status, answer = self.ask('GET', f'/collections/{collection}/documents/search?{p}', connection=connection)
        check(status == 200, f'search answered {status}: {answer}')
        return answer

    def export(self, collection):
        """Every document of a collection, by id."""
        status, data = self.ask('GET', f'/collections/{collection}/documents/export?internal=true', raw=True)
        check(status == 200, f'export answered {status}')
        documents = [json.loads(line) for line in data.splitlines()]
        result = {d['id']: d for d in documents}
        check(len(result) == len(documents), 'export gave an id twice')
        return result

    def rss_mb(self):
        with open(f'/proc/{self.process.pid}/status') as f:
            return int(next(l for l in f if l.startswith('VmRSS')).split()[1]) / 1024


class Mongo:
    """A replica set of one node; ends with the test, whatever happens to it."""

    def __init__(self, directory):
        self.directory = directory

    def __enter__(self):
        env = {**os.environ, 'TAILFIN_OWNER_PID': str(os.getpid())}
        out = subprocess.run([f'{ROOT}/scripts/mongod.sh', 'start', self.directory], stdout=subprocess.PIPE,
                             text=True, env=env, check=True).stdout.strip()
        self.uri = out.replace('/?', '/journey?')
        return self

    def __exit__(self, *_):
        subprocess.run([f'{ROOT}/scripts/mongod.sh', 'stop', self.directory], check=False)

    def signal(self, number):
        with open(f'{self.directory}/mongod.pid') as f:
            os.kill(int(f.read()), number)


def main(run):
    """Runs the test: run(program). Exit status 0 only if it came to its end."""
    program = sys.argv[1]
    begin = time.monotonic()
    try:
        run(program)
    except Failure as f:
        print(f'FAILED: {f}')
        sys.exit(1)
    print(f'ok, {time.monotonic() - begin:.1f} s')
