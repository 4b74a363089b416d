"""A replica set of three nodes on loopback that know each other through proxies: it can lose its primary, a node, or
the network between them and their clients. Standard library only."""
import json
import os
import subprocess
import time

from proxy import Network
from tailfin import ROOT, check, die_with_parent, free_port

SETTINGS = {'electionTimeoutMillis': 2000, 'heartbeatIntervalMillis': 500, 'heartbeatTimeoutSecs': 2}


class Node:
    def __init__(self, set_, number):
        self.set, self.number = set_, number
        self.directory = f'{set_.directory}/{number}'
        os.makedirs(self.directory)
        self.port = free_port()
        self.proxy = set_.network.do('add', self.port)
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [self.set.mongod, '--replSet', 'rs0', '--dbpath', self.directory, '--port', str(self.port), '--bind_ip',
             '127.0.0.1', '--nounixsocket', '--wiredTigerCacheSizeGB', '0.25', '--oplogSize', str(self.set.oplog_mb),
             '--setParameter', 'diagnosticDataCollectionEnabled=false', '--setParameter', 'enableTestCommands=1',
             '--logpath', self.directory + '.log', '--logappend'],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def run(self, command, database='admin'):
        """To this node, whatever its role, and not through the network; the reply, which may be an error."""
        uri = f'mongodb://127.0.0.1:{self.port}/?directConnection=true&serverSelectionTimeoutMS=5000&' \
              'socketTimeoutMS=10000'
        out = subprocess.run([self.set.admin, uri, database, '-'], input=json.dumps(command) + '\n', text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        return json.loads(out) if out else {}

    def network(self, verb, *words):
        """open, cut, hold, or slow MS."""
        self.set.network.do(verb, self.proxy, *words)


class ReplicaSet:
    def __init__(self, directory, oplog_mb=128, database='journey'):
        self.directory, self.oplog_mb, self.database = directory, oplog_mb, database

    def __enter__(self):
        script = f'{ROOT}/scripts/mongod.sh'
        self.mongod, self.admin = (subprocess.run([script, verb], stdout=subprocess.PIPE, text=True,
                                                  check=True).stdout.strip() for verb in ('path', 'admin'))
        self.network = Network().__enter__()
        self.nodes = [Node(self, i) for i in range(3)]
        hosts = [f'127.0.0.1:{n.proxy}' for n in self.nodes]
        self.uri = f'mongodb://{",".join(hosts)}/{self.database}?replicaSet=rs0'
        # For the writer of a test: it waits for a primary, but not for one that hangs.
        self.writer_uri = self.uri + '&serverSelectionTimeoutMS=5000&socketTimeoutMS=5000&connectTimeoutMS=1000'
        try:
            for n in self.nodes:
                n.start()
            config = {'_id': 'rs0', 'settings': SETTINGS, 'members': [
                {'_id': i, 'host': host, 'priority': 1} for i, host in enumerate(hosts)]}
            self.until(lambda: self.nodes[0].run({'replSetInitiate': config}).get('ok'), 'the set is initiated')
            self.primary()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for n in self.nodes:
            if n.process:
                n.kill()
        self.network.__exit__()

    def until(self, is_done, what, timeout=60):
        end = time.monotonic() + timeout
        while True:
            result = is_done()
            if result:
                return result
            check(time.monotonic() < end, f'{what}: not within {timeout} s')
            time.sleep(0.2)

    def primary(self, timeout=180):
        """Waits for one that takes writes."""
        def find():
            return next((n for n in self.nodes if n.run({'isMaster': 1}).get('ismaster')), None)
        return self.until(find, 'there is a primary', timeout)

    def step_down(self):
        """Another one becomes primary; the old one's connections end."""
        self.primary().run({'replSetStepDown': 10, 'secondaryCatchUpPeriodSecs': 5, 'force': True})

    def fail(self, commands, times, **how):
        """The next commands of these names fail on every node: errorCode=N, or closeConnection=True."""
        for n in self.nodes:
            n.run({'configureFailPoint': 'failCommand', 'mode': {'times': times} if times else 'off',
                   'data': {'failCommands': commands, **how}})

    def heal(self):
        """Everything is there again, and agrees."""
        for n in self.nodes:
            n.network('open')
            if n.process.poll() is not None:
                n.start()
        self.until(lambda: sorted(m['state'] for m in self.nodes[0].run({'replSetGetStatus': 1}).get('members', [])) ==
                   [1, 2, 2], 'the replica set is whole', 180)
        self.fail([], 0)
