"""The 7TV data model for the journey tests: random documents and operations, and what their search documents
must be: a derivation of its own, from MongoDB's contents alone. Standard library only."""
import base64
import json
import os
import subprocess
import time

ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
FLAGS = ['public_listed', 'private', 'nsfw', 'default_zero_width', 'approved_personal', 'denied_personal', 'animated']
PLATFORMS = ['twitch', 'discord', 'google', 'kick']
ORDER = ['user', 'role', 'badge', 'paint', 'emote_set', 'product', 'subscription_benefit', 'subscription',
         'special_event', 'global_default_entitlement_group']


class Shell:
    """Commands to a MongoDB server through scripts/mongo_admin, one after the other."""

    def __init__(self, root, uri, database):
        admin = subprocess.run([f'{root}/scripts/mongod.sh', 'admin'], stdout=subprocess.PIPE, text=True,
                               check=True).stdout.strip()
        self.process = subprocess.Popen([admin, uri, database, '-'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def run(self, command, may_fail=False):
        self.process.stdin.write(json.dumps(command) + '\n')
        self.process.stdin.flush()
        reply = json.loads(self.process.stdout.readline())
        if not may_fail and (not reply.get('ok') or reply.get('writeErrors')):
            raise AssertionError(f'{str(command)[:300]} -> {reply.get("errmsg")} {reply.get("writeErrors")}')
        return reply

    def find(self, collection, projection=None):
        command = {'find': collection, 'batchSize': 5000}
        if projection:
            command['projection'] = projection
        cursor = self.run(command)['cursor']
        documents = cursor['firstBatch']
        while cursor['id']:
            cursor = self.run({'getMore': {'$numberLong': str(cursor['id'])}, 'collection': collection,
                               'batchSize': 5000})['cursor']
            documents += cursor['nextBatch']
        return documents

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def uuid(data):
    return {'$binary': {'base64': base64.b64encode(data).decode(), 'subType': '04'}}


def ulid(value):
    n = int.from_bytes(base64.b64decode(value['$binary']['base64']), 'big')
    return ''.join(ALPHABET[n >> 5 * (25 - k) & 31] for k in range(26))


def date(ms):
    return {'$date': {'$numberLong': str(ms)}}


def ms(value):
    v = value['$date']
    if isinstance(v, dict):
        return int(v['$numberLong'])
    import datetime
    t = datetime.datetime.fromisoformat(v.replace('Z', '+00:00'))
    return round((t - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)).total_seconds() * 1000)


def created(value):
    return int.from_bytes(base64.b64decode(value['$binary']['base64'])[:6], 'big')


def node(kind, id=None):
    return {'kind': kind, f'{kind}_id': id} if id else {'kind': kind}


def node_text(n):
    kind = n['kind']
    return kind if kind == ORDER[-1] else f'{kind}:{ulid(n[kind + "_id"])}'


# ---- what the search documents must be ----

def std(d):
    return {'id': ulid(d['_id']), 'created_at': created(d['_id']), 'updated_at': ms(d['updated_at'])}


def derive_emote(d):
    merged = d.get('merged')
    out = {**std(d), 'owner_id': ulid(d['owner_id']), 'default_name': d['default_name'], 'tags': d['tags'],
           'aspect_ratio': d['aspect_ratio'], 'attribution': [ulid(a['user_id']) for a in d['attribution']],
           'deleted': bool(d['deleted'] or merged)}
    for bit, name in enumerate(FLAGS):
        out['flag_' + name] = bool(d['flags'] >> bit & 1)
    for name, value in d['scores'].items():
        out['score_' + name] = value
    if merged:
        out['merged_into'], out['merged_at'] = ulid(merged['target_id']), ms(merged['at'])
    return out


def derive_set(d):
    return {**std(d), 'name': d['name'], 'description': d.get('description'), 'tags': d['tags'],
            'emotes': [ulid(e['id']) for e in d['emotes']], 'capacity': d.get('capacity'),
            'owner_id': ulid(d['owner_id']) if d.get('owner_id') else None,
            'origins': [ulid(o['id']) for o in (d.get('origin_config') or {}).get('origins', [])], 'kind': d['kind']}


def derive_role(d, edges):
    return {**std(d), 'name': d['name'], 'description': d.get('description'), 'tags': d['tags'], 'hoist': d['hoist'],
            'color': d.get('color'), 'created_by': ulid(d['created_by']), 'rank': d['rank'],
            'entitlement_grants': sorted({b for a, b in edges if a == 'role:' + ulid(d['_id'])})}


def order(text):
    kind, _, id = text.partition(':')
    return ORDER.index(kind), id


def derive_user(d, edges_from, roles, sets):
    me = 'user:' + ulid(d['_id'])
    level, visited, found = [me, ORDER[-1]], {me, ORDER[-1]}, set()
    while level:
        nexts = []
        for text in level:
            for to in edges_from.get(text, ()):
                found.add(to)
                if to not in visited and to.split(':')[0] not in ('badge', 'paint', 'emote_set'):
                    visited.add(to)
                    nexts.append(to)
        level = nexts
    ranks = [roles[t[5:]] for t in found if t.startswith('role:') and t[5:] in roles]
    style = d['style']
    set_id = ulid(style['active_emote_set_id']) if style['active_emote_set_id'] else None
    names = {p: set() for p in PLATFORMS}
    for c in d['connections']:
        names[PLATFORMS[c['platform']]] |= {c['platform_username'], c['platform_id'], c['platform_display_name']}
    out = {**std(d), 'email': d['email'], 'email_verified': d['email_verified'], 'has_bans': d['has_bans'],
           'has_2fa': d.get('two_fa') is not None, 'active_emote_set_id': set_id,
           'entitlements': sorted(found), 'entitlement_grants': sorted(set(edges_from.get(me, ()))),
           'emotes': sorted(set(sets.get(set_id, []))),
           'role_rank': max([r['rank'] for r in ranks], default=0),
           'role_hoist_rank': max([r['rank'] for r in ranks if r['hoist']], default=0)}
    for kind in ('badge', 'paint'):
        active = style[f'active_{kind}_id']
        text = f'{kind}:{ulid(active)}' if active else None
        out[f'active_{kind}_id'] = text.split(':')[1] if text in found else None
    for p in PLATFORMS:
        out[p + '_names'] = sorted(names[p])
    return out


def derive_all(shell):
    """Expected search documents by collection and id, from MongoDB's contents now."""
    edges = [(node_text(e['_id']['from']), node_text(e['_id']['to'])) for e in shell.find('entitlement_edges')]
    edges_from = {}
    for a, b in edges:
        edges_from.setdefault(a, set()).add(b)
    role_documents, set_documents = shell.find('roles'), shell.find('emote_sets')
    roles = {ulid(r['_id']): r for r in role_documents}
    sets = {ulid(s['_id']): [ulid(e['id']) for e in s['emotes']] for s in set_documents}
    result = {'emotes': [derive_emote(d) for d in shell.find('emotes', {'image_set': 0})],
              'emote_sets': [derive_set(d) for d in set_documents],
              'roles': [derive_role(d, edges) for d in role_documents],
              'users': [derive_user(d, edges_from, roles, sets) for d in shell.find('users')]}
    return {name: {d['id']: d for d in documents} for name, documents in result.items()}


SETS = {'attribution', 'entitlements', 'entitlement_grants', 'tags'} | {p + '_names' for p in PLATFORMS}


def normal(document):
    """Missing, null and empty lists are the same; set-valued lists have no order; floats are 32 bits wide."""
    out = {}
    for key, value in document.items():
        if key == 'search_updated_at' or value is None or value == []:
            continue
        if key in SETS and isinstance(value, list):
            value = sorted(value)
        if isinstance(value, float):
            value = round(value, 4)
        out[key] = value
    return out


def edge_differences(server, shell):
    """The internal collection that users are derived from."""
    there = {(d['from'], d['to']) for d in server.export('entitlement_edges').values()}
    expected = {(node_text(e['_id']['from']), node_text(e['_id']['to'])) for e in shell.find('entitlement_edges')}
    return [f'missing: edge {e}' for e in expected - there] + [f'ghost: edge {e}' for e in there - expected]


def differences(server, shell):
    """Sentences, one for each missing, stale or ghost document."""
    result = edge_differences(server, shell)
    for name, expected in derive_all(shell).items():
        there = server.export(name)
        for id, d in expected.items():
            if id not in there:
                result.append(f'missing: {name} {id}')
            elif normal(there[id]) != normal(d):
                a, b = normal(there[id]), normal(d)
                keys = [k for k in a.keys() | b.keys() if a.get(k) != b.get(k)]
                result.append(f'stale: {name} {id}: ' + '; '.join(f'{k} is {str(a.get(k))[:120]}, should be {str(b.get(k))[:120]}' for k in keys))
        result += [f'ghost: {name} {id}' for id in there.keys() - expected.keys()]
    return result


def settle(server, shell, timeout=60):
    """Waits until index and MongoDB agree; the differences that are left after the timeout."""
    end = time.monotonic() + timeout
    while True:
        left = differences(server, shell)
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.5)


# ---- random operations ----

class Application:
    """Writes as the API servers do: updated_at and search_updated_at in the same update."""

    def __init__(self, shell, rng):
        self.shell, self.rng = shell, rng
        self.ids = {name: [] for name in ('emotes', 'users', 'emote_sets', 'roles', 'badge')}
        self.edges, self.rank = [], 0
        self.n = 0

    def new_id(self, collection):
        self.n += 1
        data = (1600000000000 + self.rng.randrange(10**11)).to_bytes(6, 'big') + self.rng.randbytes(10)
        self.ids[collection].append(uuid(data))
        return self.ids[collection][-1]

    def pick(self, collection):
        return self.rng.choice(self.ids[collection])

    def word(self):
        return self.rng.choice(['kappa', 'peepo', 'Pog', 'monka', 'cat', 'LUL', 'sad']) + self.rng.choice(
            ['', 'Happy', 'Sad', 'Dance', 'W', 'é', '😀', '123'])

    def now(self):
        return {'updated_at': date(int(time.time() * 1000)), 'search_updated_at': None}

    def insert(self, collection, documents):
        if documents:
            self.shell.run({'insert': collection, 'documents': documents})

    def update(self, collection, filter, update, multi=False):
        self.shell.run({'update': collection, 'updates': [{'q': filter, 'u': update, 'multi': multi}]})

    def remove(self, collection, id):
        self.shell.run({'delete': collection, 'deletes': [{'q': {'_id': id}, 'limit': 1}]})

    # documents

    def emote(self):
        return {'_id': self.new_id('emotes'), 'owner_id': self.pick('users'), 'default_name': self.word(),
                'tags': [self.word() for _ in range(self.rng.randrange(4))],
                'image_set': {'input': {'type': 'image'}, 'outputs': []}, 'flags': self.rng.randrange(128),
                'aspect_ratio': self.rng.choice([1.0, 1.5, -1.0]), 'attribution': [], 'merged': None,
                'scores': {s: self.rng.randrange(1000) for s in
                           ('trending_day', 'trending_week', 'trending_month', 'top_daily', 'top_weekly',
                            'top_monthly', 'top_all_time')}, 'deleted': False, **self.now()}

    def entries(self, n):
        return [{'id': self.pick('emotes'), 'alias': self.word(), 'added_at': date(0), 'flags': 0} for _ in range(n)]

    def emote_set(self):
        return {'_id': self.new_id('emote_sets'), 'name': self.word(), 'description': None, 'tags': [],
                'emotes': self.entries(self.rng.randrange(12)), 'capacity': 100, 'owner_id': self.pick('users'),
                'origin_config': None, 'kind': 0, 'emotes_changed_since_reindex': False, **self.now()}

    def role(self):
        self.rank += 1
        return {'_id': self.new_id('roles'), 'name': self.word(), 'description': None, 'tags': [],
                'created_by': self.pick('users'), 'permissions': {}, 'hoist': self.rng.random() < .5, 'color': None,
                'rank': self.rank * 10, 'applied_rank': None, **self.now()}

    def user(self):
        return {'_id': self.new_id('users'), 'email': None, 'email_verified': False, 'settings': {}, 'two_fa': None,
                'style': {'active_badge_id': None, 'active_paint_id': None, 'active_emote_set_id': None,
                          'active_profile_picture': None, 'pending_profile_picture': None,
                          'personal_emote_set_id': None},
                'connections': [{'platform': self.rng.randrange(4), 'platform_id': str(self.n),
                                 'platform_username': self.word(), 'platform_display_name': self.word(),
                                 'platform_avatar_url': None, 'updated_at': date(0), 'linked_at': date(0),
                                 'allow_login': True}],
                'stripe_customer_id': None, 'has_bans': False, 'merged_into_id': None,
                'cached': {'entitlements': [], 'active_emotes': [], 'emote_set_id': None, 'role_rank': 0,
                           'role_hoist_rank': 0}, **self.now()}

    def fill(self, n):
        for collection, make, count in (('users', self.user, n), ('emotes', self.emote, 2 * n),
                                        ('emote_sets', self.emote_set, n // 3), ('roles', self.role, 8)):
            documents = [make() for _ in range(count)]
            for at in range(0, count, 500):
                self.insert(collection, documents[at:at + 500])
        for _ in range(5):
            self.new_id('badge')
        for _ in range(n // 2):
            self.add_edge()
        for _ in range(n // 2):
            self.choose_set()

    # operations

    def add_edge(self):
        kind = self.rng.random()
        if kind < .75:
            a, b = node('user', self.pick('users')), node('role', self.pick('roles'))
        elif kind < .97:
            a = node('role', self.pick('roles'))
            b = self.rng.choice([node('badge', self.pick('badge')), node('role', self.pick('roles'))])
        else:
            a, b = node(ORDER[-1]), node('role', self.pick('roles'))
        edge = {'from': a, 'to': b, 'managed_by': None}
        reply = self.shell.run({'insert': 'entitlement_edges', 'documents': [{'_id': edge}]}, may_fail=True)
        if not reply.get('writeErrors'):
            self.edges.append(edge)

    def drop_edge(self):
        if self.edges:
            self.remove('entitlement_edges', self.edges.pop(self.rng.randrange(len(self.edges))))

    def choose_set(self):
        self.update('users', {'_id': self.pick('users')},
                    {'$set': {'style.active_emote_set_id': self.pick('emote_sets'), **self.now()}})

    def change_set(self):
        self.update('emote_sets', {'_id': self.pick('emote_sets')},
                    {'$set': {'emotes': self.entries(self.rng.randrange(12)), 'emotes_changed_since_reindex': True,
                              **self.now()}})

    def change_role(self):
        self.rank += 1
        self.update('roles', {'_id': self.pick('roles')},
                    {'$set': {'rank': self.rank * 10, 'hoist': self.rng.random() < .5, **self.now()}})

    def change_emote(self):
        self.update('emotes', {'_id': self.pick('emotes')},
                    {'$set': {'default_name': self.word(), 'flags': self.rng.randrange(128), **self.now()}})

    def merge_emote(self):
        self.update('emotes', {'_id': self.pick('emotes')},
                    {'$set': {'merged': {'target_id': self.pick('emotes'), 'at': date(5)}, **self.now()}})

    def unset_something(self):
        self.update('emote_sets', {'_id': self.pick('emote_sets')}, {'$unset': {'capacity': 1}})

    def score_run(self):
        self.update('emotes', {'flags': {'$mod': [7, self.rng.randrange(7)]}},
                    {'$inc': {'scores.top_all_time': 1}, '$set': self.now()}, multi=True)

    def replace_emote(self):
        d = self.emote()
        self.ids['emotes'].pop()
        d['_id'] = self.pick('emotes')
        self.shell.run({'update': 'emotes', 'updates': [{'q': {'_id': d['_id']}, 'u': d, 'upsert': True}]})

    def delete_one(self):
        collection = self.rng.choice(['emotes', 'emotes', 'users', 'emote_sets', 'roles'])
        if len(self.ids[collection]) > 5:
            ids = self.ids[collection]
            self.remove(collection, ids.pop(self.rng.randrange(len(ids))))

    def insert_one(self):
        collection, make = self.rng.choice([('emotes', self.emote), ('users', self.user),
                                            ('emote_sets', self.emote_set), ('roles', self.role)])
        self.insert(collection, [make()])

    def step(self):
        operations = [(self.change_emote, 8), (self.insert_one, 6), (self.change_set, 5), (self.choose_set, 4),
                      (self.add_edge, 5), (self.drop_edge, 3), (self.change_role, 2), (self.delete_one, 4),
                      (self.merge_emote, 1), (self.unset_something, 1), (self.score_run, .3), (self.replace_emote, 2)]
        self.rng.choices([o for o, _ in operations], [w for _, w in operations])[0]()
