"""What the search documents of the 7TV data model must be: a derivation of its own from MongoDB's documents,
written from the data model and not from the profile. Standard library only."""
from seventv_values import FLAGS, GLOBAL, PLATFORMS, created, ms, node_text, number, pair, ulid


class Relations:
    """What documents are derived from besides themselves."""

    def __init__(self, edges, roles, sets):
        self.edges_from = {}
        for e in edges:
            self.edges_from.setdefault(node_text(e['_id']['from']), set()).add(node_text(e['_id']['to']))
        self.roles = {ulid(r['_id']): (r['rank'], r['hoist']) for r in roles}
        self.sets = {ulid(s['_id']): [ulid(e['id']) for e in s['emotes']] for s in sets}

    def grants(self, *nodes):
        return sorted({to for n in nodes for to in self.edges_from.get(n, ())})


def ids(values):
    return [ulid(v) for v in values or ()]


def optional(value, as_what):
    return as_what(value) if value is not None else None


def std(d):
    return {'id': ulid(d['_id']), 'created_at': created(d['_id']), 'updated_at': ms(d['updated_at'])}


def named(d):
    return {**std(d), 'name': d['name'], 'description': d.get('description')}


def badges(d, _):
    return {**named(d), 'tags': d['tags'], 'created_by_id': ulid(d['created_by_id'])}


def emote_moderation_requests(d, _):
    return {**std(d), 'user_id': ulid(d['user_id']), 'kind': d['kind'], 'reason': d.get('reason'),
            'emote_id': ulid(d['emote_id']), 'status': d['status'], 'country_code': d.get('country_code'),
            'assigned_to': ids(d['assigned_to']), 'priority': d['priority']}


def emotes(d, _):
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


def emote_sets(d, _):
    return {**named(d), 'tags': d['tags'], 'emotes': [ulid(e['id']) for e in d['emotes']],
            'capacity': d.get('capacity'), 'owner_id': optional(d.get('owner_id'), ulid),
            'origins': [ulid(o['id']) for o in (d.get('origin_config') or {}).get('origins', [])], 'kind': d['kind']}


def invoices(d, _):
    return {'id': d['_id'], 'items': d['items'], 'customer_id': d['customer_id'], 'user_id': ulid(d['user_id']),
            'paypal_payment_id': d.get('paypal_payment_id'), 'status': d['status'], 'created_at': ms(d['created_at']),
            'updated_at': ms(d['updated_at'])}


def paints(d, _):
    return {**named(d), 'tags': d['tags'], 'created_by': ulid(d['created_by'])}


def products(d, relations):
    prices = d['currency_prices']
    return {**named(d), 'default_currency': d['default_currency'], 'created_at': ms(d['created_at']),
            'default_price': number(prices.get(d['default_currency'], 0)), 'currencies': sorted(prices),
            'entitlement_grants': relations.grants('product:' + ulid(d['_id']))}


def redeem_codes(d, _):
    period, effect = d.get('active_period') or {}, d['effect']
    is_direct = effect['type'] == 'DirectEntitlement'
    return {**named(d), 'tags': d['tags'], 'code': d['code'], 'remaining_uses': d['remaining_uses'],
            'active_from': optional(period.get('start'), ms), 'active_to': optional(period.get('end'), ms),
            'entitlements': [node_text(n) for n in effect['entitlements']] if is_direct else [],
            'special_event_id': None if is_direct else ulid(effect['special_event_id']),
            'created_by': ulid(d['created_by'])}


def roles(d, relations):
    return {**named(d), 'tags': d['tags'], 'hoist': d['hoist'], 'color': d.get('color'),
            'created_by': ulid(d['created_by']), 'rank': d['rank'],
            'entitlement_grants': relations.grants('role:' + ulid(d['_id']))}


def special_events(d, relations):
    return {**named(d), 'tags': d['tags'], 'created_by': ulid(d['created_by']),
            'entitlements': relations.grants('special_event:' + ulid(d['_id']))}


PROCESS = ['success', 'fail', 'cancel', 'start']
# First number of the outer kind, then its inner kinds in order; `process` takes four numbers.
ACTIONS = {
    'emote': (0, 'upload change_name merge change_owner change_tags change_flags delete process'),
    'emote_set': (100, 'create change_name change_tags change_capacity add_emote remove_emote rename_emote delete'),
    'user': (200, 'create change_active_paint change_active_badge change_active_emote_set add_connection '
                  'remove_connection merge delete add_entitlement remove_entitlement'),
    'user_profile_picture': (300, 'create process'),
    'user_editor': (400, 'add_editor remove_editor edit_permissions'),
    'user_ban': (500, 'ban change_reason change_expires_at change_user_ban_permissions unban'),
    'user_session': (600, 'create delete'),
    'ticket': (700, 'create add_member remove_member change_open change_priority'),
    'ticket_message': (800, 'create'),
    'emote_moderation_request': (900, 'create change_status'),
    'paint': (1000, 'create change_name change_data process'),
    'badge': (1100, 'create process'),
    'role': (1200, 'create change_name change_color change_permissions change_rank delete add_entitlement '
                   'remove_entitlement'),
}
RELATED_NODES = {'role', 'badge', 'paint', 'emote_set', 'product', 'special_event'}


def related(outer, inner, data, fields):
    if inner.startswith('change_active_'):
        kind = inner[len('change_active_'):]
        return [f'{kind}:{ulid(fields[k])}' for k in ('old', 'new') if fields.get(k)]
    if inner in ('add_entitlement', 'remove_entitlement'):
        target = fields['target']
        return [node_text(target)] if target['kind'] in RELATED_NODES else []
    named_fields = {('emote', 'merge'): [('emote', 'new_emote_id')],
                    ('emote', 'change_owner'): [('user', 'old'), ('user', 'new')],
                    ('emote_set', 'add_emote'): [('emote', 'emote_id')],
                    ('emote_set', 'remove_emote'): [('emote', 'emote_id')],
                    ('emote_set', 'rename_emote'): [('emote', 'emote_id')],
                    ('ticket', 'add_member'): [('user', 'member')], ('ticket', 'remove_member'): [('user', 'member')]}
    if (outer, inner) in named_fields:
        return [f'{kind}:{ulid(fields[k])}' for kind, k in named_fields[outer, inner]]
    if outer == 'user_editor':
        return ['user:' + ulid(data['target_id']['editor_id'])]
    siblings = {'user_profile_picture': ('user', 'user_id'), 'user_ban': ('user', 'user_id'),
                'user_session': ('user', 'user_id'), 'ticket_message': ('ticket', 'ticket_id'),
                'emote_moderation_request': ('emote', 'emote_id')}
    if outer in siblings:
        kind, k = siblings[outer]
        return [f'{kind}:{ulid(data[k])}']
    return []


def events(d, _):
    data = d['data']
    outer, inner, fields = data['kind'], data['data']['kind'], data['data'].get('data') or {}
    first, names = ACTIONS[outer]
    action = first + names.split().index(inner)
    if inner == 'process':
        action += PROCESS.index(fields['event']['kind'])
    is_editor = outer == 'user_editor'
    target = 'user:' + ulid(data['target_id']['user_id']) if is_editor else f'{outer}:{ulid(data["target_id"])}'
    return {**std(d), 'actor_id': optional(d.get('actor_id'), ulid), 'session_id': optional(d.get('session_id'), ulid),
            'target_id': target, 'action': action, 'related_ids': related(outer, inner, data, fields)}


def subscription_products(d, relations):
    benefits = ids(b['id'] for b in d['benefits'])
    return {**named(d), 'default_currency': d['default_currency'], 'benefits': benefits,
            'currencies': [c for v in d['variants'] for c in v['currency_prices']],
            'entitlement_grants': relations.grants(*('subscription_benefit:' + b for b in benefits))}


def subscriptions(d, relations):
    id = pair(d['_id'])
    user, product = id.split(':')
    return {'id': id, 'user_id': user, 'product_id': product, 'state': d['state'],
            'entitlements': relations.grants('subscription:' + id), 'created_at': ms(d['created_at']),
            'ended_at': optional(d.get('ended_at'), ms), 'updated_at': ms(d['updated_at'])}


def subscription_periods(d, _):
    provider, by = d.get('provider_id') or {}, d['created_by']
    return {**std(d), 'user_id': ulid(d['subscription_id']['user_id']),
            'product_id': ulid(d['subscription_id']['product_id']),
            'subscription_provider': ['stripe', 'paypal'].index(provider['kind']) if provider else None,
            'provider_id': provider.get('id'), 'start': ms(d['start']), 'end': ms(d['end']),
            'auto_renew': d['auto_renew'], 'gifted_by': optional(d.get('gifted_by'), ulid),
            'created_by_kind': ['redeem_code', 'invoice', 'system'].index(by['type']),
            'created_by_redeem_code_id': optional(by.get('redeem_code_id'), ulid),
            'created_by_invoice_id': by.get('invoice_id'), 'created_by_system_reason': by.get('reason')}


def tickets(d, _):
    members = [[ulid(m['user_id']) for m in d['members'] if m['kind'] == kind] for kind in range(3)]
    return {**std(d), 'priority': d['priority'], 'members': members[0], 'assignees': members[1],
            'watchers': members[2], 'title': d['title'], 'tags': d['tags'], 'country_code': d.get('country_code'),
            'kind': d['kind'], 'targets': [f'{t["kind"]}:{ulid(t["id"])}' for t in d['targets']],
            'targets_emote': any(t['kind'] == 'emote' for t in d['targets']), 'author_id': ulid(d['author_id']),
            'open': d['open'], 'locked': d['locked']}


def ticket_messages(d, _):
    return {'id': ulid(d['_id']), 'ticket_id': ulid(d['ticket_id']), 'user_id': ulid(d['user_id']),
            'content': d['content'], 'has_attachment': bool(d['files'])}


def user_bans(d, _):
    removed = d.get('removed') or {}
    return {**std(d), 'user_id': ulid(d['user_id']), 'created_by_id': ulid(d['created_by_id']),
            'reason': d['reason'], 'tags': d['tags'], 'expires_at': optional(d.get('expires_at'), ms),
            'removed_at': optional(removed.get('removed_at'), ms),
            'removed_by_id': optional(removed.get('removed_by_id'), ulid), 'search_updated_at': ms(d['updated_at'])}


def user_editors(d, _):
    id = pair(d['_id'])
    user, editor = id.split(':')
    return {'id': id, 'user_id': user, 'editor_id': editor, 'state': d['state'], 'notes': d.get('notes'),
            'added_by_id': ulid(d['added_by_id']), 'added_at': ms(d['added_at']), 'updated_at': ms(d['updated_at']),
            'search_updated_at': ms(d['updated_at'])}


def reachable(relations, me):
    level, visited, found = [me, GLOBAL], {me, GLOBAL}, set()
    while level:
        nexts = []
        for text in level:
            for to in relations.edges_from.get(text, ()):
                found.add(to)
                if to not in visited and to.split(':')[0] not in ('badge', 'paint', 'emote_set'):
                    visited.add(to)
                    nexts.append(to)
        level = nexts
    return found


def users(d, relations):
    me = 'user:' + ulid(d['_id'])
    found = reachable(relations, me)
    ranks = [relations.roles[t[5:]] for t in found if t.startswith('role:') and t[5:] in relations.roles]
    style = d.get('style') or {}
    set_id = optional(style.get('active_emote_set_id'), ulid)
    names = {p: set() for p in PLATFORMS}
    for c in d['connections']:
        names[PLATFORMS[c['platform']]] |= {c['platform_username'], c['platform_id'], c['platform_display_name']}
    out = {**std(d), 'email': d.get('email'), 'email_verified': d['email_verified'], 'has_bans': d['has_bans'],
           'has_2fa': d.get('two_fa') is not None, 'active_emote_set_id': set_id,
           'entitlements': sorted(found), 'entitlement_grants': relations.grants(me),
           'emotes': sorted(set(relations.sets.get(set_id, []))),
           'role_rank': max((rank for rank, _ in ranks), default=0),
           'role_hoist_rank': max((rank for rank, is_hoisted in ranks if is_hoisted), default=0)}
    for kind in ('badge', 'paint'):
        active = style.get(f'active_{kind}_id')
        text = f'{kind}:{ulid(active)}' if active else None
        out[f'active_{kind}_id'] = text.split(':')[1] if text in found else None
    for p in PLATFORMS:
        out[p + '_names'] = sorted(names[p])
    return out


KINDS = {f.__name__: f for f in (
    badges, emote_moderation_requests, emotes, emote_sets, invoices, paints, products, redeem_codes, roles,
    special_events, events, subscription_products, subscriptions, subscription_periods, tickets, ticket_messages,
    user_bans, user_editors, users)}

# Their search_updated_at is a copy of updated_at; all others have the indexer's own time there, which is nobody's.
MARKED = {'user_bans', 'user_editors'}


def normal(kind, document):
    """Missing, null and empty lists are the same; floats are 32 bits wide; what edges lead to has no order."""
    out = {}
    for key, value in document.items():
        if value is None or value == [] or (key == 'search_updated_at' and kind not in MARKED):
            continue
        if key in ('entitlements', 'entitlement_grants') and kind != 'redeem_codes':
            value = sorted(value)
        out[key] = round(value, 4) if isinstance(value, float) else value
    return out
