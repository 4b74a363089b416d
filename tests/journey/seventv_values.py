"""Values of the 7TV data model in MongoDB's extended JSON: ids, dates, entitlement nodes. Standard library only."""
import base64
import datetime

ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
FLAGS = ['public_listed', 'private', 'nsfw', 'default_zero_width', 'approved_personal', 'denied_personal', 'animated']
PLATFORMS = ['twitch', 'discord', 'google', 'kick']
GLOBAL = 'global_default_entitlement_group'
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def uuid(data):
    return {'$binary': {'base64': base64.b64encode(data).decode(), 'subType': '04'}}


def raw(value):
    return base64.b64decode(value['$binary']['base64'])


def ulid(value):
    n = int.from_bytes(raw(value), 'big')
    return ''.join(ALPHABET[n >> 5 * (25 - k) & 31] for k in range(26))


def created(value):
    return int.from_bytes(raw(value)[:6], 'big')


def date(ms):
    return {'$date': {'$numberLong': str(ms)}}


def ms(value):
    v = value['$date']
    if isinstance(v, dict):
        return int(v['$numberLong'])
    t = datetime.datetime.fromisoformat(v.replace('Z', '+00:00'))
    return round((t - EPOCH).total_seconds() * 1000)


def number(value):
    return int(value['$numberLong']) if isinstance(value, dict) else value


def node(kind, id=None):
    return {'kind': kind, f'{kind}_id': id} if id else {'kind': kind}


def node_text(n):
    kind = n['kind']
    if kind == GLOBAL:
        return kind
    id = n[kind + '_id']
    return f'{kind}:{pair(id) if kind == "subscription" else ulid(id)}'


def pair(id):
    """The text of a composite id: both ULIDs, in the order that the data model says."""
    return f'{ulid(id["user_id"])}:{ulid(id["product_id"] if "product_id" in id else id["editor_id"])}'
