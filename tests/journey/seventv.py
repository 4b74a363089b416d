"""The 7TV data model for the journey tests: MongoDB's contents, and whether an index has what they mean.
Standard library only."""
import hashlib
import json
import subprocess
import time

import seventv_derive
from seventv_derive import KINDS, normal
from seventv_values import node_text, ulid  # for the journeys
from seventv_write import Application

# No primary at the moment, or one that is none any more: the operation may be tried again.
TRANSIENT = {6, 7, 89, 91, 189, 9001, 10107, 11600, 11602, 13435, 13436}
EXISTS = 11000


class Shell:
    """Commands to a MongoDB server through scripts/mongo_admin, one after the other. With retry_s, what fails
    because there is no primary is tried again for so long; it may then have happened twice."""

    def __init__(self, root, uri, database, retry_s=0):
        admin = subprocess.run([f'{root}/scripts/mongod.sh', 'admin'], stdout=subprocess.PIPE, text=True,
                               check=True).stdout.strip()
        self.retry_s = retry_s
        self.process = subprocess.Popen([admin, uri, database, '-'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def once(self, command):
        self.process.stdin.write(json.dumps(command) + '\n')
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def run(self, command, may_fail=False, may_exist=False):
        end = time.monotonic() + self.retry_s
        while True:
            reply = self.once(command)
            errors = [e for e in reply.get('writeErrors', []) if not (may_exist and e['code'] == EXISTS)]
            if may_fail or (reply.get('ok') and not errors):
                return reply
            codes = [e['code'] for e in errors] or [reply.get('code')]
            is_transient = all(c is None or c in TRANSIENT for c in codes)
            if not is_transient or time.monotonic() > end:
                raise AssertionError(f'{str(command)[:300]} -> {reply.get("errmsg")} {errors}')
            time.sleep(.05)

    def each(self, collection, projection=None):
        """Documents, a batch in memory."""
        command = {'find': collection, 'batchSize': 2000, 'sort': {'_id': 1}}
        if projection:
            command['projection'] = projection
        cursor = self.run(command)['cursor']
        yield from cursor['firstBatch']
        while cursor['id']:
            cursor = self.run({'getMore': {'$numberLong': str(cursor['id'])}, 'collection': collection,
                               'batchSize': 2000})['cursor']
            yield from cursor['nextBatch']

    def find(self, collection, projection=None):
        return list(self.each(collection, projection))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def exported(server, collection):
    """Documents of the index, one at a time."""
    connection = server.connection()
    connection.request('GET', f'/collections/{collection}/documents/export?internal=true',
                       headers={'X-TYPESENSE-API-KEY': server.key})
    reply = connection.getresponse()
    if reply.status != 200:
        raise AssertionError(f'export of {collection} answered {reply.status}: {reply.read()[:200]}')
    for line in reply:
        yield json.loads(line)
    connection.close()


def digest(kind, document):
    text = json.dumps(normal(kind, document), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=12).digest()


def relations(shell):
    return seventv_derive.Relations(shell.each('entitlement_edges'), shell.each('roles', {'rank': 1, 'hoist': 1}),
                                    shell.each('emote_sets', {'emotes.id': 1}))


def edge_differences(server, shell):
    """The internal collection that users are derived from."""
    there = {(d['from'], d['to']) for d in exported(server, 'entitlement_edges')}
    expected = {(node_text(e['_id']['from']), node_text(e['_id']['to'])) for e in shell.each('entitlement_edges')}
    return [f'missing: edge {e}' for e in expected - there] + [f'ghost: edge {e}' for e in there - expected]


def describe(server, shell, kind, wrong, world):
    """A sentence for each of these ids."""
    derive = KINDS[kind]
    expected = {d['id']: normal(kind, d) for d in (derive(d, world) for d in shell.each(kind)) if d['id'] in wrong}
    there = {d['id']: normal(kind, d) for d in exported(server, kind) if d['id'] in wrong}
    for id in wrong:
        a, b = there.get(id), expected.get(id)
        if a is None and b is None:
            continue
        if a is None or b is None:
            yield f'{"missing" if a is None else "ghost"}: {kind} {id}'
            continue
        keys = [k for k in a.keys() | b.keys() if a.get(k) != b.get(k)]
        yield f'stale: {kind} {id}: ' + '; '.join(
            f'{k} is {str(a.get(k))[:120]}, should be {str(b.get(k))[:120]}' for k in keys)


def differences(server, shell, kinds=None, with_edges=True):
    """Sentences, one for each missing, stale or ghost document. Of a document only a digest is kept, so that large
    worlds can be compared."""
    result = edge_differences(server, shell) if with_edges else []
    world = relations(shell)
    for kind in kinds or KINDS:
        derive = KINDS[kind]
        expected = {}
        for d in shell.each(kind, {'image_set': 0}):
            document = derive(d, world)
            expected[document['id']] = digest(kind, document)
        wrong = set()
        for document in exported(server, kind):
            if expected.pop(document['id'], None) != digest(kind, document):
                wrong.add(document['id'])
        wrong |= expected.keys()
        if wrong:
            result += describe(server, shell, kind, wrong, world)
    return result


def settle(server, shell, timeout=60, kinds=None, with_edges=True):
    """Waits until index and MongoDB agree; the differences that are left after the timeout. What a comparison met that
    began before it may have been in flight: of a large world one takes longer than the timeout."""
    end = time.monotonic() + timeout
    while True:
        began = time.monotonic()
        left = differences(server, shell, kinds, with_edges)
        if not left or began > end:
            return left
        time.sleep(0.5)
