#!/usr/bin/env python3
"""The general profiles, end to end on a real MongoDB: `turms` (ids beyond 2^53, search by name), `emote-usage` (filters and
counts by provider and channel), and a folder of one's own whose ids are of every type."""
import json
import os
import random
import time

from seventv import Shell
from tailfin import ROOT, Failure, Mongo, Scratch, Tailfin, check, main, seed

BIG = 9007199254740993  # 2^53 + 1: no double holds it


def long(n):
    return {'$numberLong': str(n)}


def date(ms):
    return {'$date': {'$numberLong': str(ms)}}


def wait_for(what, seen, timeout=60):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if seen():
            return
        time.sleep(0.05)
    raise Failure(f'{what}: not within {timeout} s')


def ids(answer):
    return [h['document']['id'] for h in answer['hits']]


def user(n, name, active=True):
    return {'_id': long(n), 'n': name, 'intro': 'hello', 'pgid': long(BIG), 'act': active, 'rd': date(1700000000000 + n % 1000),
            'lud': date(1700000000000)}


def check_turms(program, mongo, scratch):
    shell = Shell(ROOT, mongo.uri, 'turms')
    shell.run({'insert': 'user', 'documents': [user(BIG, 'Alexandra Stone'), user(BIG + 1, 'alexander'), user(7, 'Bo', False),
                                               {'_id': '7', 'n': 'no number', 'act': True, 'rd': date(1)}]})
    shell.run({'insert': 'group', 'documents': [
        {'_id': {'$numberInt': '5'}, 'n': 'Stone collectors', 'oid': long(BIG), 'ac': True, 'cd': date(1700000000000)},
        {'_id': long(-5), 'n': 'Alexandria', 'oid': long(BIG + 2), 'ac': True, 'cd': date(1700000000001)}]})
    server = Tailfin(program, os.path.join(scratch, 'turms'), '--mongodb-uri', mongo.uri.replace('/journey?', '/turms?'),
                     '--profile', 'turms')
    server.start()
    found = ids(server.search('user', 'alex', query_by='name'))
    check(sorted(found) == [str(BIG), str(BIG + 1)], f'users by the beginning of a name: {found}')
    check(ids(server.search('user', 'lexand', query_by='name', infix='always'))[:1] != [], 'inside of a name')
    check(ids(server.search('user', '*', filter_by=f'permission_group_id:={BIG} && is_active:=false')) == ['7'], 'filter by int64')
    check(ids(server.search('user', '*', filter_by=f'permission_group_id:={BIG - 1}')) == [], 'int64 as a double')
    check(sorted(ids(server.search('group', '*', query_by='name'))) == ['-5', '5'], 'ids of groups')
    check(ids(server.search('group', '*', filter_by=f'owner_id:={BIG}')) == ['5'], 'groups of an owner')
    letters = server.ask('GET', '/admin/dead_letters')[1]
    check(letters['count'] == 1 and letters['letters'][0]['collection'] == 'user', f'a string among numbers: {letters}')
    status, document = server.ask('GET', f'/collections/user/documents/{BIG}')
    check(status == 200 and document['permission_group_id'] == BIG, f'an int64 came back as {document}')
    shell.run({'update': 'user', 'updates': [{'q': {'_id': long(BIG)}, 'u': {'$set': {'n': 'Zoe'}}}]})
    shell.run({'delete': 'user', 'deletes': [{'q': {'_id': long(BIG + 1)}, 'limit': 1}, {'q': {'_id': '7'}, 'limit': 1}]})
    wait_for('a new name', lambda: ids(server.search('user', 'zoe', query_by='name')) == [str(BIG)])
    wait_for('a deletion', lambda: ids(server.search('user', 'alex', query_by='name')) == [])
    wait_for('no dead letter', lambda: server.ask('GET', '/admin/dead_letters')[1]['count'] == 0)
    server.stop()
    shell.close()


def check_usage(program, mongo, scratch, rng):
    shell = Shell(ROOT, mongo.uri, 'usage')
    providers, channels = ['7tv', 'bttv', 'ffz', 'twitch'], [f'channel{n}' for n in range(12)]
    documents = [{'_id': {'$oid': f'{1700000000 + n:08x}{n:016x}'}, 'name': f'emote{n % 50}', 'provider_name': rng.choice(providers),
                  'channel': rng.choice(channels), 'usage_count': long(rng.randrange(10 ** 12)), 'updated_at': date(1700000000000)}
                 for n in range(3000)]
    for begin in range(0, len(documents), 500):
        shell.run({'insert': 'emotes', 'documents': documents[begin:begin + 500]})
    server = Tailfin(program, os.path.join(scratch, 'usage'), '--mongodb-uri', mongo.uri.replace('/journey?', '/usage?'),
                     '--profile', 'emote-usage')
    server.start()

    def counts(field, **params):
        answer = server.search('emotes', '*', facet_by=field, max_facet_values=100, per_page=0, **params)
        return {c['value']: c['count'] for c in answer['facet_counts'][0]['counts']}

    def expected(field, keep=lambda d: True):
        result = {}
        for d in filter(keep, documents):
            result[d[field]] = result.get(d[field], 0) + 1
        return result

    check(counts('provider_name') == expected('provider_name'), 'counts by provider')
    check(counts('channel', filter_by='provider_name:=bttv') ==
          expected('channel', lambda d: d['provider_name'] == 'bttv'), 'counts by channel of one provider')
    of_ffz = sorted((d for d in documents if d['provider_name'] == 'ffz'), key=lambda d: -int(d['usage_count']['$numberLong']))
    check(ids(server.search('emotes', '*', filter_by='provider_name:=ffz', sort_by='usage_count:desc', per_page=50)) ==
          [d['_id']['$oid'] for d in of_ffz[:50]], 'the most used of a provider')
    order = {'ffz': 1, 'bttv': 2, '7tv': 3, 'twitch': 4}
    named = [d for d in documents if d['name'] == 'emote7']
    named.sort(key=lambda d: (-order[d['provider_name']], -int(d['usage_count']['$numberLong'])))
    found = ids(server.search('emotes', 'emote7', query_by='name', filter_by='name:=emote7', per_page=100,
                              sort_by='provider_priority:desc,usage_count:desc'))
    check(found == [d['_id']['$oid'] for d in named], 'one name by priority of the providers')
    shell.run({'update': 'emotes', 'updates': [{'q': {'provider_name': 'twitch'}, 'multi': True, 'u': {'$set': {'provider_name': '7tv'}}}]})
    for d in documents:
        d['provider_name'] = '7tv' if d['provider_name'] == 'twitch' else d['provider_name']
    wait_for('changed counts', lambda: counts('provider_name') == expected('provider_name'))
    server.stop()
    shell.close()


def check_own(program, mongo, scratch):
    """Ids of different types never have the same text."""
    folder = os.path.join(scratch, 'own')
    os.mkdir(folder)
    with open(os.path.join(folder, 'things.json'), 'w') as f:
        json.dump({'name': 'things', 'source': {'collection': 'things'}, 'tie': 'id', 'fields': [
            {'name': 'name', 'type': 'string', 'from': 'name'}, {'name': 'seen_by', 'type': 'string[]', 'optional': True,
                                                                 'facet': True, 'from': {'path': 'seen[].by', 'set': True}}]}, f)
    shell = Shell(ROOT, mongo.uri, 'own')
    hex24 = '5f5f5f5f5f5f5f5f5f5f5f5f'
    things = [long(5), '5', '"5"', {'$oid': hex24}, hex24, long(BIG), str(BIG), {'$numberDouble': '6'}, '6', '', 'plain',
              {'$binary': {'base64': 'AAECAwQFBgcICQoLDA0ODw==', 'subType': '04'}}]
    shell.run({'insert': 'things', 'documents': [{'_id': i, 'name': f'thing{n}', 'seen': [{'by': 'b'}, {'by': 'a'}, {'by': 'b'}]}
                                                for n, i in enumerate(things)]})
    server = Tailfin(program, os.path.join(scratch, 'things'), '--mongodb-uri', mongo.uri.replace('/journey?', '/own?'),
                     '--profile', folder)
    server.start()
    documents = server.export('things')
    named = {d['name'] for d in documents.values()}
    letters = server.ask('GET', '/admin/dead_letters')[1]
    check(len(documents) + letters['count'] == len(things), f'{len(documents)} documents, {letters}')
    check(letters['count'] <= 1, f'more than the empty text has no name: {letters}')
    check(len(named) == len(documents), 'two documents share an id')
    check(all(d['seen_by'] == ['a', 'b'] for d in documents.values()), 'a set that is none')
    for n, i in enumerate(things):
        if f'thing{n}' in named:
            shell.run({'delete': 'things', 'deletes': [{'q': {'_id': i}, 'limit': 1}]})
            named.remove(f'thing{n}')
            wait_for(f'only {i} gone', lambda: {d['name'] for d in server.export('things').values()} == named)
    server.stop()
    shell.close()


def run(program):
    rng = seed()
    with Scratch() as scratch, Mongo(scratch + '/mongodb') as mongo:
        check_turms(program, mongo, scratch)
        check_usage(program, mongo, scratch, random.Random(rng.random()))
        check_own(program, mongo, scratch)


main(run)
