"""Random documents of all kinds of the 7TV data model, and random operations on them as its API servers do them.
Standard library only."""
import time

from seventv_derive import ACTIONS, PROCESS
from seventv_values import GLOBAL, date, node, uuid

SCORES = ['trending_day', 'trending_week', 'trending_month', 'top_daily', 'top_weekly', 'top_monthly', 'top_all_time']
WORDS = ['kappa', 'peepo', 'Pog', 'monka', 'cat', 'LUL', 'sad']
ENDS = ['', 'Happy', 'Sad', 'Dance', 'W', 'é', '😀', '123', ' with "quotes"', '\\', '\n', ' ']
THERE, NULL, ABSENT = 'there', 'null', 'absent'
CURRENCIES = ['usd', 'eur', 'gbp', 'chf']
# What an application writes in one document: how many of each there are in a world of n users.
SHARES = {'users': 1, 'badges': .03, 'paints': .03, 'emotes': 2, 'emote_sets': .34, 'roles': 0, 'products': .02,
          'special_events': .02, 'subscription_products': .02, 'subscriptions': .1, 'subscription_periods': .1,
          'invoices': .1, 'redeem_codes': .05, 'emote_moderation_requests': .2, 'events': .5, 'tickets': .1,
          'ticket_messages': .2, 'user_bans': .05, 'user_editors': .2}


class Documents:
    """Random documents: optional fields are there, null, or absent; with a fate (THERE, NULL, ABSENT) all of them
    are. Ids of documents that may exist are in ids."""

    def __init__(self, rng):
        self.rng, self.fate = rng, None
        self.ids = {name: [] for name in [*SHARES, 'benefits']}
        self.rank = 0

    # values

    def id(self):
        if self.rng.random() < .02:  # some are no ULIDs: any 16 bytes
            return uuid(self.rng.randbytes(16))
        return uuid((1600000000000 + self.rng.randrange(10**11)).to_bytes(6, 'big') + self.rng.randbytes(10))

    def pick(self, collection):
        """Of a document that exists, or did; sometimes of one that never will."""
        ids = self.ids[collection]
        return self.rng.choice(ids) if ids and self.rng.random() < .98 else self.id()

    def pick_id(self, collection):
        """Of the form that the collection has."""
        return self.rng.choice(self.ids[collection]) if self.ids[collection] else self.new_id(collection)

    def word(self):
        return self.rng.choice(WORDS) + self.rng.choice(ENDS)

    def words(self):
        return [self.word() for _ in range(self.rng.randrange(4))]

    def time(self):
        return date(self.rng.randrange(-10**9, 4 * 10**12))

    def now(self):
        """The clocks of the API servers differ, some by hours."""
        skew = self.rng.choice([0, 0, 0, -3600000, 3600000])
        return {'updated_at': date(int(time.time() * 1000) + skew), 'search_updated_at': None}

    def int(self, below=2**31):
        return self.rng.randrange(below)

    def bool(self):
        return self.rng.random() < .5

    def some(self, **fields):
        """Each field as it is, null, or not at all."""
        out = {}
        for name, value in fields.items():
            fate = self.fate or self.rng.choices([THERE, NULL, ABSENT], [70, 15, 15])[0]
            if fate != ABSENT:
                out[name] = value if fate == THERE else None
        return out

    def prices(self):
        return {c: {'$numberLong': str(self.int(10**6))} for c in CURRENCIES if self.bool()}

    def node(self):
        kind = self.rng.choice(['role', 'badge', 'paint', 'emote_set', 'product', 'special_event', 'subscription',
                                'subscription_benefit'])
        return self.node_of(kind)

    def node_of(self, kind):
        if kind == GLOBAL:
            return node(kind)
        if kind == 'subscription':
            return node(kind, self.pick_id('subscriptions'))
        return node(kind, self.pick('benefits' if kind == 'subscription_benefit' else kind + 's'))

    def pair(self, second, collection):
        return {'user_id': self.pick('users'), second: self.pick(collection)}

    # documents, without _id and times

    def badges(self):
        return {'name': self.word(), **self.some(description=self.word()), 'tags': self.words(), 'image_set': {},
                'created_by_id': self.pick('users')}

    def emote_moderation_requests(self):
        return {'user_id': self.pick('users'), 'kind': self.int(2), 'emote_id': self.pick('emotes'),
                'status': self.int(4), 'assigned_to': [self.pick('users') for _ in range(self.int(3))],
                'priority': self.int() - 2**30, **self.some(reason=self.word(), country_code='DE')}

    def emotes(self):
        return {'owner_id': self.pick('users'), 'default_name': self.word(), 'tags': self.words(),
                'image_set': {'input': {'type': 'image'}, 'outputs': []}, 'flags': self.int(256),
                'aspect_ratio': self.rng.choice([1.0, 1.5, -1.0, 1.3333333333333333]),
                'attribution': [{'user_id': self.pick('users'), 'added_at': date(1)} for _ in range(self.int(3))],
                **(self.some(merged={'target_id': self.pick('emotes'), 'at': self.time()}) if self.int(10) == 0
                   else {'merged': None}),
                'scores': {s: self.int(1000) for s in SCORES}, 'deleted': self.int(20) == 0}

    def entries(self, n):
        return [{'id': self.pick('emotes'), 'alias': self.word(), 'added_at': date(0), 'flags': 0,
                 **({'added_by_id': self.pick('users')} if self.bool() else {})} for _ in range(n)]

    def emote_sets(self):
        origins = {'origins': [{'id': self.pick('emote_sets'), 'limit': None, 'transformations': []}],
                   'limit': {'$numberLong': '5'}, 'purge': [], 'auto_resync': True, 'needs_resync': False,
                   'error': None}
        return {'name': self.word(), 'tags': self.words(), 'emotes': self.entries(self.int(12)), 'kind': self.int(4),
                'emotes_changed_since_reindex': False,
                **self.some(description=self.word(), capacity=self.int(1000), owner_id=self.pick('users')),
                **(self.some(origin_config=origins) if self.int(5) == 0 else {'origin_config': None})}

    def invoices(self):
        return {'items': [f'price_{self.int(9)}' for _ in range(self.int(3))], 'customer_id': f'cus_{self.int()}',
                'user_id': self.pick('users'), **self.some(paypal_payment_id=f'P-{self.word()}', disputed=self.int(8)),
                'status': self.int(5), 'failed': self.bool(), 'refunded': self.bool(), 'created_at': self.time()}

    def paints(self):
        return {'name': self.word(), **self.some(description=self.word()), 'tags': self.words(),
                'data': {'layers': [], 'shadows': []}, 'created_by': self.pick('users')}

    def products(self):
        return {'provider_id': 'price_1', 'active': self.bool(), 'name': self.word(),
                **self.some(description=self.word(), discount='x', extends_subscription=self.id()),
                'default_currency': self.rng.choice(CURRENCIES), 'currency_prices': self.prices(),
                'created_at': self.time()}

    def redeem_codes(self):
        if self.bool():
            effect = {'type': 'DirectEntitlement', 'entitlements': [self.node() for _ in range(self.int(4))]}
        else:
            effect = {'type': 'SpecialEvent', 'special_event_id': self.pick('special_events')}
        return {'name': self.word(), 'tags': self.words(), 'code': self.word(), 'remaining_uses': self.int(9),
                'created_by': self.pick('users'), 'effect': effect,
                **self.some(description=self.word(), active_period={'start': self.time(), 'end': self.time()},
                            subscription_effect={'id': self.id(), 'trial_days': 3, 'no_redirect_to_stripe': True})}

    def roles(self):
        self.rank += 10
        return {'name': self.word(), 'tags': self.words(), 'created_by': self.pick('users'), 'permissions': {},
                'hoist': self.bool(), 'rank': self.rank if self.int(5) else -self.rank, 'applied_rank': None,
                **self.some(description=self.word(), color=self.int() - 2**30)}

    def special_events(self):
        return {'name': self.word(), **self.some(description=self.word()), 'tags': self.words(),
                'created_by': self.pick('users')}

    def events(self):
        kind = self.rng.choice(list(ACTIONS))
        action = self.rng.choice(ACTIONS[kind][1].split())
        data = {'kind': kind, 'target_id': self.id()}
        if kind == 'user_editor':
            data['target_id'] = self.pair('editor_id', 'users')
        elif kind in ('emote', 'emote_set', 'user'):
            data['target_id'] = self.pick(kind + 's')
        data |= {'user_profile_picture': {'user_id': self.pick('users')}, 'user_ban': {'user_id': self.pick('users')},
                 'user_session': {'user_id': self.pick('users')}, 'ticket_message': {'ticket_id': self.pick('tickets')},
                 'emote_moderation_request': {'emote_id': self.pick('emotes')}}.get(kind, {})
        fields = self.event_fields(action)
        data['data'] = {'kind': action, **({'data': fields} if fields else {})}
        return {**self.some(actor_id=self.pick('users'), session_id=self.id()), 'data': data}

    def event_fields(self, action):
        if action.startswith('change_active_'):
            return self.some(old=self.id(), new=self.id())
        if action.endswith('_entitlement'):
            return {'target': self.rng.choice([self.node(), self.node_of('user'), node(GLOBAL)])}
        return {'process': {'event': {'kind': self.rng.choice(PROCESS)}}, 'merge': {'new_emote_id': self.pick('emotes')},
                'change_owner': {'old': self.pick('users'), 'new': self.pick('users')},
                'change_capacity': self.some(old=1, new=2), 'change_name': {'old': self.word(), 'new': self.word()},
                'add_emote': {'emote_id': self.pick('emotes'), 'alias': self.word()},
                'remove_emote': {'emote_id': self.pick('emotes')},
                'rename_emote': {'emote_id': self.pick('emotes'), 'old_alias': 'a', 'new_alias': 'b'},
                'add_member': {'member': self.pick('users')},
                'remove_member': {'member': self.pick('users')}}.get(action)

    def subscription_products(self):
        benefits = []
        for _ in range(self.int(4)):
            if self.bool() or not self.ids['benefits']:
                self.ids['benefits'].append(self.id())
            benefits.append({'id': self.rng.choice(self.ids['benefits']), 'name': self.word(), 'condition': {}})
        return {'provider_id': 'p', 'name': self.word(), 'default_currency': 'usd', 'default_variant_idx': 0,
                'variants': [{'id': f'v{i}', 'paypal_id': None, 'active': True, 'kind': i,
                              'currency_prices': self.prices()} for i in range(self.int(3))],
                **self.some(description=self.word()), 'benefits': benefits}

    def subscriptions(self):
        return {'state': self.int(3), 'created_at': self.time(), **self.some(ended_at=self.time())}

    def subscription_periods(self):
        by = self.rng.choice([{'type': 'redeem_code', 'redeem_code_id': self.pick('redeem_codes')},
                              {'type': 'invoice', 'invoice_id': f'in_{self.int()}'},
                              {'type': 'system', **self.some(reason=self.word())}])
        return {'subscription_id': self.pair('product_id', 'subscription_products'), 'product_id': 'price_1',
                'start': self.time(), 'end': self.time(), 'is_trial': False, 'auto_renew': self.bool(),
                'created_by': by, **self.some(gifted_by=self.pick('users'),
                                              provider_id={'kind': self.rng.choice(['stripe', 'paypal']), 'id': 'x'})}

    def tickets(self):
        return {'priority': self.int(4), 'title': self.word(), 'tags': self.words(), 'kind': self.int(3),
                'members': [{'user_id': self.pick('users'), 'kind': self.int(3), 'notifications': True,
                             'last_read': None} for _ in range(self.int(5))],
                'targets': [{'kind': k, 'id': self.pick(k + 's')} for k in ('user', 'emote', 'emote_set') if self.bool()],
                'author_id': self.pick('users'), 'open': self.bool(), 'locked': self.bool(),
                **self.some(country_code='FR')}

    def ticket_messages(self):
        return {'ticket_id': self.pick('tickets'), 'user_id': self.pick('users'), 'content': self.word(),
                'files': [{'path': {}, 'mime': 'x', 'size': {'$numberLong': '1'}} for _ in range(self.int(2))]}

    def user_bans(self):
        return {'user_id': self.pick('users'), 'created_by_id': self.pick('users'), 'reason': self.word(),
                'tags': self.words(), 'permissions': {},
                **self.some(expires_at=self.time(), removed={'removed_at': self.time(),
                                                             'removed_by_id': self.pick('users')})}

    def user_editors(self):
        return {'state': self.int(3), **self.some(notes=self.word()), 'permissions': {},
                'added_by_id': self.pick('users'), 'added_at': self.time()}

    def users(self):
        return {**self.some(email=self.word(), two_fa={'secret': [1, 2]}), 'email_verified': self.bool(),
                'settings': {}, 'style': self.style(), 'has_bans': self.bool(), 'merged_into_id': None,
                'connections': [self.connection() for _ in range(self.int(4))], 'stripe_customer_id': None,
                'cached': {'entitlements': [], 'active_emotes': [], 'emote_set_id': None, 'role_rank': 0,
                           'role_hoist_rank': 0}}

    def style(self):
        return {'active_profile_picture': None, 'pending_profile_picture': None, 'personal_emote_set_id': None,
                **self.some(active_badge_id=self.pick('badges'), active_paint_id=self.pick('paints'),
                            active_emote_set_id=self.pick('emote_sets'))}

    def connection(self):
        return {'platform': self.int(4), 'platform_id': str(self.int()), 'platform_username': self.word(),
                'platform_display_name': self.word(), 'platform_avatar_url': None, 'updated_at': date(0),
                'linked_at': date(0), 'allow_login': True}

    def make(self, collection, id):
        return {'_id': id, **getattr(self, collection)(), **self.now()}

    def new_id(self, collection):
        ids = {'invoices': lambda: f'in_{self.rng.randrange(1 << 60)}',
               'subscriptions': lambda: self.pair('product_id', 'subscription_products'),
               'user_editors': lambda: self.pair('editor_id', 'users')}
        self.ids[collection].append(ids.get(collection, self.id)())
        return self.ids[collection][-1]

    def new(self, collection):
        return self.make(collection, self.new_id(collection))


class Application(Documents):
    """Writes as the API servers do: updated_at and search_updated_at in the same update."""

    def __init__(self, shell, rng):
        super().__init__(rng)
        self.shell, self.edges, self.n = shell, [], 0

    def insert(self, collection, documents):
        """Those that are there already stay."""
        if documents:
            self.shell.run({'insert': collection, 'documents': documents, 'ordered': False}, may_exist=True)

    def update(self, collection, filter, update, multi=False, upsert=False):
        self.shell.run({'update': collection,
                        'updates': [{'q': filter, 'u': update, 'multi': multi, 'upsert': upsert}]}, may_exist=True)

    def remove(self, collection, id):
        self.shell.run({'delete': collection, 'deletes': [{'q': {'_id': id}, 'limit': 1}]})

    def fill(self, n):
        for collection, share in SHARES.items():
            count = max(8, int(n * share))
            for at in range(0, count, 500):
                self.insert(collection, [self.new(collection)
                                         for _ in range(at, min(count, at + 500))])
        for at in range(0, n // 2, 500):
            edges = [self.edge() for _ in range(at, min(n // 2, at + 500))]
            self.insert('entitlement_edges', [{'_id': e} for e in edges])
            self.edges += edges

    def fill_users(self, n_roles, n):
        """Some roles, and n users to the next thousand; the id of the first role."""
        self.insert('roles', [self.new('roles') for _ in range(n_roles)])
        for _ in range(0, n, 1000):
            self.insert('users', [self.new('users') for _ in range(1000)])
        return self.ids['roles'][0]

    # operations

    def edge(self):
        """Most come from users; whom others lead to is a matter of few edges, or everybody had everything."""
        fate = self.rng.random()
        kind = 'user' if fate < .85 else GLOBAL if fate > .998 else self.rng.choice(
            ['role', 'product', 'subscription', 'special_event', 'subscription_benefit'])
        manager = self.rng.choice([None, None, {'kind': 'all_cosmetics'},
                                   {'kind': 'invoice_line_item', 'invoice_id': 'in|1', 'line_item_id': 'é:'},
                                   {'kind': 'redeem_code', 'redeem_code_id': self.pick('redeem_codes')}])
        return {'from': self.node_of(kind), 'to': self.node(), 'managed_by': manager}

    def add_edge(self):
        self.edges.append(self.edge())
        self.insert('entitlement_edges', [{'_id': self.edges[-1]}])

    def drop_edge(self):
        if self.edges:
            self.remove('entitlement_edges', self.edges.pop(self.rng.randrange(len(self.edges))))

    def move_edge(self):
        """Deleted and inserted again at once, as the API does."""
        if self.edges:
            edge = self.rng.choice(self.edges)
            self.remove('entitlement_edges', edge)
            self.insert('entitlement_edges', [{'_id': edge}])

    def collection(self):
        names = list(SHARES)
        return self.rng.choices(names, [SHARES[n] + .15 for n in names])[0]

    def change(self):
        """Some fields of a document, each as a new document would have it."""
        collection = self.collection()
        fresh = getattr(self, collection)()
        if 'cached' in fresh:
            del fresh['cached']
        names = self.rng.sample(list(fresh), self.rng.randrange(1, len(fresh) + 1))
        values = {k: fresh[k] for k in names}
        if collection == 'emote_sets' and 'emotes' in names:
            values['emotes_changed_since_reindex'] = True
        self.update(collection, {'_id': self.pick(collection)}, {'$set': {**values, **self.now()}})

    def unset(self):
        """What is optional goes, without a word in updated_at."""
        collection, field = self.rng.choice([('emote_sets', 'capacity'), ('users', 'email'), ('badges', 'description'),
                                             ('user_bans', 'expires_at'), ('subscriptions', 'ended_at'),
                                             ('users', 'style.active_emote_set_id'), ('roles', 'color')])
        self.update(collection, {'_id': self.pick(collection)}, {'$unset': {field: 1}})

    def choose_set(self):
        self.update('users', {'_id': self.pick('users')},
                    {'$set': {'style.active_emote_set_id': self.pick('emote_sets'), **self.now()}})

    def change_set(self):
        self.update('emote_sets', {'_id': self.pick('emote_sets')},
                    {'$set': {'emotes': self.entries(self.int(12)), 'emotes_changed_since_reindex': True,
                              **self.now()}})

    def merge_emote(self):
        """With its moderation requests, whose dates the API does not touch."""
        id = self.pick('emotes')
        self.update('emotes', {'_id': id}, {'$set': {'merged': {'target_id': self.pick('emotes'), 'at': date(5)},
                                                     **self.now()}})
        self.update('emote_moderation_requests', {'emote_id': id, 'status': 0}, {'$set': {'status': 3}}, multi=True)

    def merge_user(self):
        """What belonged to one belongs to the other."""
        source, target = self.pick('users'), self.pick('users')
        self.update('emotes', {'owner_id': source}, {'$set': {'owner_id': target, **self.now()}}, multi=True)
        self.update('emote_sets', {'owner_id': source}, {'$set': {'owner_id': target, **self.now()}}, multi=True)
        for edge in [e for e in self.edges if e['from'] == node('user', source)][:3]:
            self.remove('entitlement_edges', edge)
            edge['from'] = node('user', target)
            self.insert('entitlement_edges', [{'_id': edge}])
        self.update('users', {'_id': source}, {'$set': {'merged_into_id': target, 'connections': [], **self.now()}})

    def change_many(self):
        collection = self.collection()
        fresh = getattr(self, collection)()
        field = self.rng.choice([k for k in fresh if k not in ('cached', 'rank')])
        middle = self.pick(collection)
        self.update(collection, {'_id': {self.rng.choice(['$lt', '$gte']): middle}},
                    {'$set': {field: fresh[field], **self.now()}}, multi=True)

    def score_run(self):
        self.update('emotes', {'flags': {'$mod': [7, self.int(7)]}},
                    {'$inc': {'scores.top_all_time': 1}, '$set': self.now()}, multi=True)

    def replace(self):
        collection = self.collection()
        id = self.pick_id(collection)
        self.update(collection, {'_id': id}, self.make(collection, id), upsert=True)

    def delete(self):
        collection = self.collection()
        ids = self.ids[collection]
        if len(ids) > 5:
            self.remove(collection, ids.pop(self.rng.randrange(len(ids))))

    def add(self):
        collection = self.collection()
        self.insert(collection, [self.new(collection)])

    def unmark(self):
        """Somebody asks for indexing by hand."""
        collection = self.collection()
        self.update(collection, {'_id': self.pick(collection)}, {'$set': {'search_updated_at': None}})

    def drop(self):
        """A small collection goes and comes back with other documents."""
        collection = self.rng.choice(['ticket_messages', 'user_bans', 'roles', 'products'])
        self.shell.run({'drop': collection}, may_fail=True)
        self.insert(collection, [self.new(collection) for _ in range(20)])

    def step(self):
        operations = [(self.change, 14), (self.add, 8), (self.replace, 3), (self.delete, 5), (self.change_set, 4),
                      (self.choose_set, 3), (self.add_edge, 5), (self.drop_edge, 3), (self.move_edge, 1),
                      (self.unset, 1), (self.unmark, 1), (self.merge_emote, 1), (self.merge_user, .5),
                      (self.change_many, .3), (self.score_run, .3), (self.drop, .05)]
        self.rng.choices([o for o, _ in operations], [w for _, w in operations])[0]()
        self.n += 1
