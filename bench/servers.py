"""The servers that bench/search.py compares: Tailfin, which it starts, a Typesense, and a MongoDB without a search
engine. The first two speak the same API."""
import glob
import http.client
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
IMPORT_LINES = 10000
KEPT_S = 20  # servers end idle connections some time after


class Api:
    """A server of Typesense's API at host:port."""

    def __init__(self, name, host, port, key):
        self.name, self.host, self.port, self.key = name, host, port, key
        self.connection, self.asked_at = None, 0

    def ask(self, method, path, body=None):
        """(status, bytes) over a kept connection, or a new one if the server closed it meanwhile."""
        if self.connection and time.monotonic() - self.asked_at > KEPT_S:
            self.connection.close()
            self.connection = None
        if not self.connection:
            self.connection = http.client.HTTPConnection(self.host, self.port, timeout=600)
        self.asked_at = time.monotonic()
        try:
            self.connection.request(method, path, body=body, headers={'X-TYPESENSE-API-KEY': self.key})
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise

    def json(self, path):
        status, body = self.ask('GET', path)
        if status != 200:
            raise RuntimeError(f'{self.name}: {path} answered {status}: {body[:200]}')
        return json.loads(body)

    def load(self, corpus):
        """Makes the collections of a corpus and imports them; [(collection, documents, seconds)]."""
        out = []
        with open(f'{corpus}/schemas.json', encoding='utf-8') as f:
            schemas = json.load(f)
        for schema in schemas:
            self.ask('DELETE', f'/collections/{schema["name"]}')
            status, body = self.ask('POST', '/collections', json.dumps(schema))
            if status not in (200, 201):
                raise RuntimeError(f'{self.name}: making {schema["name"]} answered {status}: {body[:200]}')
            with open(f'{corpus}/{schema["name"]}.jsonl', 'rb') as f:
                out.append((schema['name'], *self.load_lines(schema['name'], f.readlines())))
        return out

    def load_lines(self, collection, lines):
        """Imports over one connection, IMPORT_LINES a request; (documents, seconds) of sending and waiting."""
        seconds = 0
        for i in range(0, len(lines), IMPORT_LINES):
            body = b''.join(lines[i:i + IMPORT_LINES])
            begin = time.monotonic()
            status, answer = self.ask('POST', f'/collections/{collection}/documents/import?action=upsert', body)
            seconds += time.monotonic() - begin
            n_good = answer.count(b'"success":true')
            if status != 200 or n_good != len(lines[i:i + IMPORT_LINES]):
                raise RuntimeError(f'{self.name}: import answered {status}, {n_good} good lines: {answer[:200]}')
        return len(lines), seconds

    def cpu_seconds(self):
        """Not known of a server that is not ours."""
        return None

    def n_documents(self):
        return sum(c['num_documents'] for c in self.json('/collections'))

    def wait(self, path, limit_s=120):
        """Until GET path is 200."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            try:
                if self.ask('GET', path)[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(.001)
        raise RuntimeError(f'{self.name} does not answer {path}')


class Tailfin(Api):
    """Started and stopped by us, in standalone mode, with its index in keep/index. flags: further options."""

    def __init__(self, program, keep, flags=()):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            port = s.getsockname()[1]
        super().__init__('Tailfin', '127.0.0.1', port, 'bench')
        self.program, self.keep, self.directory = program, keep, f'{keep}/index'
        self.flags = flags
        self.process = None

    def start(self, is_empty=False):
        """Seconds until it is healthy."""
        if is_empty:
            shutil.rmtree(self.directory, ignore_errors=True)
        begin = time.monotonic()
        with open(f'{self.keep}/tailfin.log', 'ab') as log:
            self.process = subprocess.Popen(
                [self.program, 'serve', '--listen', f'127.0.0.1:{self.port}', '--data-dir', self.directory,
                 '--api-key', self.key, '--body-mb-max', '256', *self.flags], stdout=log, stderr=log)
        self.wait('/health')
        return time.monotonic() - begin

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        if self.connection:
            self.connection.close()
            self.connection = None

    def memory(self):
        """{'anon', 'mapped': resident bytes, 'files': bytes of the index's files}."""
        with open(f'/proc/{self.process.pid}/status', encoding='ascii', errors='replace') as f:
            kb = {line.split(':')[0]: line.split()[1] for line in f if line.startswith('Rss')}
        files = sum(os.path.getsize(p) for p in glob.glob(f'{self.directory}/**', recursive=True) if os.path.isfile(p))
        return {'anon': int(kb['RssAnon']) * 1024, 'mapped': int(kb['RssFile']) * 1024, 'files': files}

    def cpu_seconds(self):
        """Processor time that it has used."""
        with open(f'/proc/{self.process.pid}/stat', encoding='ascii', errors='replace') as f:
            columns = f.read().rpartition(')')[2].split()
        return (int(columns[11]) + int(columns[12])) / os.sysconf('SC_CLK_TCK')

    def n_segments(self):
        """Of the collection that has most."""
        return max(c['segments'] for c in self.json('/admin/status')['collections'])

    def settle(self, limit_s=90):
        """Waits until merges have come to rest: the last begin after 3 s without writes, and one may take 30 s."""
        end, before, busy, n_same = time.monotonic() + limit_s, None, 0, 0
        while time.monotonic() < end and n_same < 16:
            now = [(c['segments'], c['segments_in_files'], c['bytes']) for c in self.json('/admin/status')['collections']]
            is_idle = self.cpu_seconds() - busy < .1
            n_same = n_same + 1 if now == before and is_idle else 0
            before, busy = now, self.cpu_seconds()
            time.sleep(.25)


class Typesense(Api):
    """A running server. Its collections of the corpus are replaced."""

    def __init__(self, url, key):
        parsed = urllib.parse.urlparse(url)
        super().__init__('Typesense', socket.gethostbyname(parsed.hostname), parsed.port or 8108, key)

    def memory(self):
        return {'anon': int(self.json('/metrics.json')['typesense_memory_resident_bytes'])}


class MongoDB:
    """What an application does without a search engine: anchored regular expressions and the text index."""

    name = 'MongoDB'
    database = 'tailfin_bench'

    def __init__(self, uri):
        path = subprocess.run([f'{ROOT}/scripts/mongod.sh', 'admin'], stdout=subprocess.PIPE, text=True).stdout.strip()
        self.process = subprocess.Popen([path, uri, self.database, '-'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)

    def command(self, text):
        """The reply to a command given as JSON text, as bytes."""
        self.process.stdin.write(text.encode() + b'\n')
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def must(self, command):
        reply = json.loads(self.command(json.dumps(command)))
        if reply.get('ok') != 1 or reply.get('writeErrors'):
            raise RuntimeError(f'MongoDB: {json.dumps(reply)[:300]}')

    def load(self, corpus):
        """[(collection, documents, seconds)] with the indexes made after the documents."""
        indexes = {'emotes': [{'default_name': 1}, {'default_name': 'text', 'tags': 'text'}, {'tags': 1},
                              {'deleted': 1, 'score_top_all_time': -1}],
                   'users': [{'twitch_names': 1}, {'emotes': 1},
                             {f'{c}_names': 'text' for c in ('twitch', 'kick', 'google', 'discord')}],
                   'roles': [{'name': 1}]}
        self.command(json.dumps({'dropDatabase': 1}))
        out = []
        for collection, keys in indexes.items():
            begin, n = time.monotonic(), 0
            with open(f'{corpus}/{collection}.jsonl', encoding='utf-8') as f:
                while rows := [json.loads(line) for _, line in zip(range(1000), f)]:
                    for row in rows:
                        row['_id'] = row.pop('id')
                    self.must({'insert': collection, 'documents': rows})
                    n += len(rows)
            for key in keys:
                self.must({'createIndexes': collection, 'indexes': [
                    {'key': key, 'name': '_'.join(key), 'default_language': 'none'} if 'text' in key.values()
                    else {'key': key, 'name': '_'.join(key)}]})
            out.append((collection, n, time.monotonic() - begin))
        return out

    @staticmethod
    def translate(query):
        """(kind, command) that comes nearest to a search; None where there is none (misspelt words)."""
        kind, q, collection = query['kind'], query['params']['q'], query['collection']
        name = {'emotes': 'default_name', 'users': 'twitch_names', 'roles': 'name'}[collection]
        order = {'emotes': {'score_top_all_time': -1}, 'users': {'role_rank': -1}, 'roles': {'rank': -1}}[collection]
        where = {'deleted': False} if collection == 'emotes' else {}
        escaped = ''.join(c if c.isalnum() or ord(c) > 127 else '\\' + c for c in q)
        if kind == 'exact':
            where[name] = q
        elif kind == 'lower':
            where[name] = {'$regex': f'^{escaped}$', '$options': 'i'}
        elif kind in ('prefix', 'role'):
            where[name] = {'$regex': f'^{escaped}', '$options': 'i'}
        elif kind in ('two_words', 'none') and collection != 'roles':
            where['$text'] = {'$search': q}
        elif kind == 'tag' and collection == 'emotes':
            where['tags'] = q
        elif kind == 'channels':
            where['emotes'] = query['params']['filter_by'].split()[1]
        elif kind != 'star':
            return None
        return kind, {'find': collection, 'filter': where, 'sort': order, 'limit': int(query['params']['per_page']),
                      'singleBatch': True, 'projection': {'_id': 1}}
