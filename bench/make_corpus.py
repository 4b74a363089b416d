#!/usr/bin/env python3
"""Search documents over real names, and searches for them: the same seed gives the same bytes.

  bench/make_corpus.py 7tv OUT [--emotes 300000 --users 160000 --queries 3000 --seed 23]
  bench/make_corpus.py npm OUT [--names 1000000 --queries 3000 --seed 23]

OUT gets schemas.json, a NAME.jsonl of documents for every collection, and queries.jsonl: {"collection", "kind",
"params"}. `7tv` has the searches of the API servers (GraphQL v3 and v4) over the names of bench/data. `npm` has
package names with their monthly downloads, 3.77 million of them, which npm fetches once into ~/.cache/tailfin;
a smaller corpus is the beginning of a larger one with the same seed.
"""
import argparse
import gzip
import itertools
import json
import os
import random
import string
import subprocess
import tarfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.environ.get('TAILFIN_CACHE') or os.path.join(
    os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'tailfin')
COUNTS = 'download-counts@2.20260301.0'

CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
YEAR_2019_MS, YEAR_2026_MS, DAY_MS = 1546300800000, 1793000000000, 86400000
SCORES = ['score_trending_day', 'score_trending_week', 'score_trending_month', 'score_top_daily',
          'score_top_weekly', 'score_top_monthly', 'score_top_all_time']
RARE_SCORES = {'score_trending_day', 'score_top_daily'}
FLAGS = {'flag_public_listed': .8, 'flag_private': .05, 'flag_nsfw': .03, 'flag_default_zero_width': .08,
         'flag_approved_personal': .3, 'flag_denied_personal': .05, 'flag_animated': .45}
CONNECTIONS = {'twitch_names': .95, 'discord_names': .15, 'google_names': .06, 'kick_names': .05}


def fields(text):
    """'name type, name type?' as field objects; a question mark means optional."""
    out = []
    for part in text.split(','):
        name, kind = part.split()
        out.append({'name': name, 'type': kind.rstrip('?'), 'optional': kind.endswith('?')})
    return out


TIMES = 'created_at int64, updated_at int64, search_updated_at int64'
SCHEMAS = [
    {'name': 'emotes', 'default_sorting_field': 'score_top_all_time', 'fields': fields(
        'id string, owner_id string, default_name string, tags string[]?, '
        + ''.join(f'{f} bool, ' for f in FLAGS) + 'aspect_ratio float, attribution string[]?, '
        'merged_into string?, merged_at int64?, ' + ''.join(f'{s} int32, ' for s in SCORES) + 'deleted bool, ' + TIMES)},
    {'name': 'users', 'default_sorting_field': 'role_rank', 'fields': fields(
        'id string, ' + ''.join(f'{c} string[]?, ' for c in CONNECTIONS)
        + 'email string?, email_verified bool, has_bans bool, has_2fa bool, active_badge_id string?, '
        'active_paint_id string?, active_emote_set_id string?, entitlements string[]?, entitlement_grants string[]?, '
        'emotes string[]?, role_rank int32, role_hoist_rank int32, ' + TIMES)},
    {'name': 'roles', 'fields': fields(
        'id string, name string, description string?, tags string[]?, hoist bool, color int32?, created_by string, '
        'entitlement_grants string[]?, rank int32, ' + TIMES)},
]
NPM_SCHEMA = {'name': 'packages', 'default_sorting_field': 'downloads',
              'fields': fields('name string, downloads int64')}


def read_rows(name):
    path = f'{ROOT}/bench/data/{name}'
    with (gzip.open(path, 'rt', encoding='utf-8') if name.endswith('.gz') else open(path, encoding='utf-8')) as f:
        for line in f:
            yield json.loads(line)


def write_rows(path, rows):
    with open(path, 'w', encoding='utf-8') as f:
        for row in rows:
            f.write(json.dumps(row, ensure_ascii=False, separators=(',', ':')) + '\n')


def stretched(rows, n, numbered):
    """n rows: as many as there are, then numbered variants of the same ones."""
    out = rows[:n]
    for round_number in itertools.count(2):
        if len(out) >= n:
            return out
        out += [numbered(row, round_number) for row in rows[:n - len(out)]]


class Typist:
    """What people type when they mean a name."""

    def __init__(self, rng, tags):
        self.rng = rng
        self.tags = tags

    def slip(self, word):
        at, letter = self.rng.randrange(len(word)), self.rng.choice(string.ascii_lowercase)
        how = self.rng.choice(('insert', 'drop', 'swap', 'replace'))
        if how == 'insert':
            return word[:at] + letter + word[at:]
        if how == 'drop' and len(word) > 2:
            return word[:at] + word[at + 1:]
        if how == 'swap' and at + 1 < len(word):
            return word[:at] + word[at + 1] + word[at] + word[at + 2:]
        return word[:at] + letter + word[at + 1:]

    def beginning(self, name, least=1):
        return name[:self.rng.randint(min(least, len(name)), len(name))]

    def type(self, pick):
        """(kind, text); pick() gives a name."""
        name, dice = pick(), self.rng.random()
        if dice < .35:
            return 'prefix', self.beginning(name)
        if dice < .50:
            return 'exact', name
        if dice < .62:
            return 'lower', name.lower()
        if dice < .74 and len(name) >= 4:
            return 'typo1', self.slip(name.lower())
        if dice < .80 and len(name) >= 7:
            return 'typo2', self.slip(self.slip(name.lower()))
        if dice < .86 and len(name) >= 6:
            return 'typo_prefix', self.slip(self.beginning(name.lower(), 4))
        if dice < .91:
            return 'two_words', f'{name[:5]} {pick()[:6]}'
        if dice < .94:
            return 'tag', self.rng.choice(self.tags)
        if dice < .96:
            return 'none', ''.join(self.rng.choices('bcdfghjklmnpqrstvwxz', k=9))
        return 'star', '*'


class SevenTv:
    """Emotes, users and roles as the indexer makes them, and the API servers' searches."""

    def __init__(self, n_emotes, n_users, seed):
        self.rng = random.Random(seed)
        self.read_emotes(n_emotes)
        self.owners = [self.ulid(self.time()) for _ in range(max(1000, n_emotes // 8))]
        self.emote_ids = []
        self.roles = list(self.make_roles())
        self.read_handles(n_users)

    def time(self):
        return self.rng.randrange(YEAR_2019_MS, YEAR_2026_MS)

    def ulid(self, ms):
        number = ms << 80 | self.rng.getrandbits(80)
        return ''.join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))

    def read_emotes(self, n):
        tags, names = {}, {}
        for row in read_rows('emotes_real.jsonl.gz'):
            name = row['name'].strip()
            is_phrase_wanted = row.get('source') == 'cldr' and len(name) <= 60
            if not 1 <= len(name) <= 100 or (' ' in name and not is_phrase_wanted):
                continue
            names[name] = True
            if row.get('tags'):
                tags.setdefault(name, [t for t in row['tags'] if 3 <= len(t) <= 30][:6])
        names = list(names)
        self.rng.shuffle(names)
        names.sort(key=lambda name: name not in tags)
        self.names = stretched(names, n, lambda name, k: f'{name}{k}')
        self.rng.shuffle(self.names)
        self.tags_of = tags
        self.tags = sorted({t for v in tags.values() for t in v})[:4000]
        self.zipf = list(itertools.accumulate(1 / (i + 1) for i in range(len(self.tags))))

    def read_handles(self, n):
        rows = {}
        for row in read_rows('handles_real.jsonl.gz'):
            if row['handle']:
                rows.setdefault(row['handle'], row.get('display') or row['handle'])
        rows = list(rows.items())
        self.rng.shuffle(rows)
        foreign = [r for r in rows if not r[1].isascii()][:n // 6]
        rows = foreign + [r for r in rows if r[1].isascii()]
        self.handles = stretched(rows, n, lambda r, k: (f'{r[0]}{k}', f'{r[1]}{k}'))
        self.rng.shuffle(self.handles)

    def make_roles(self):
        for rank, row in enumerate(itertools.islice(read_rows('roles_real.jsonl'), 120), 1):
            ms = self.time()
            yield {'id': self.ulid(ms), 'name': row['name'], 'description': row.get('slug'), 'tags': [],
                   'hoist': self.rng.random() < .3, 'color': self.rng.getrandbits(24),
                   'created_by': self.rng.choice(self.owners), 'entitlement_grants': [], 'rank': rank,
                   'created_at': ms, 'updated_at': ms, 'search_updated_at': ms + 1}

    def emote_tags(self, name):
        if name in self.tags_of:
            return list(dict.fromkeys(self.tags_of[name]))
        n = self.rng.choice((0, 0, 1, 1, 2, 3, 4))
        return list(dict.fromkeys(self.rng.choices(self.tags, cum_weights=self.zipf, k=n)))

    def make_emotes(self):
        rng, n = self.rng, len(self.names)
        self.by_rank = rng.sample(range(n), n)
        rank_of = [0] * n
        for rank, i in enumerate(self.by_rank, 1):
            rank_of[i] = rank
        shuffled = {s: rng.sample(range(1, 3 * n), n) for s in SCORES[:-1]}
        for i, name in enumerate(self.names):
            ms = self.time()
            is_merged = bool(self.emote_ids) and rng.random() < .02
            row = {'id': self.ulid(ms), 'owner_id': rng.choice(self.owners), 'default_name': name,
                   'tags': self.emote_tags(name)}
            row.update({flag: rng.random() < share for flag, share in FLAGS.items()})
            row.update(aspect_ratio=rng.choice((1., 1., 1., 1.25, 1.5, 2., 3.)), attribution=[],
                       merged_into=rng.choice(self.emote_ids) if is_merged else None,
                       merged_at=ms + DAY_MS if is_merged else None)
            for s, values in shuffled.items():
                row[s] = values[i] if rng.random() < (.15 if s in RARE_SCORES else .4) else 0
            row.update(score_top_all_time=max(1, 4000000 - 3 * rank_of[i]), deleted=is_merged or rng.random() < .04,
                       created_at=ms, updated_at=(changed := ms + rng.randrange(10 ** 9)), search_updated_at=changed + 5)
            self.emote_ids.append(row['id'])
            yield row

    def make_users(self):
        rng = self.rng
        for handle, display in self.handles:
            ms = self.time()
            role = rng.choice(self.roles) if rng.random() < .03 else None
            row = {'id': self.ulid(ms)}
            for field, share in CONNECTIONS.items():
                names = [handle, str(rng.randrange(10 ** 5, 10 ** 9)), display]
                row[field] = list(dict.fromkeys(names)) if rng.random() < share else []
            n_emotes = rng.randrange(12) if rng.random() < .3 else 0
            row.update(email=None, email_verified=rng.random() < .5, has_bans=rng.random() < .01, has_2fa=False,
                       active_badge_id=None, active_paint_id=None, active_emote_set_id=None,
                       entitlements=[f'role:{role["id"]}'] if role else [], entitlement_grants=[],
                       emotes=[rng.choice(self.emote_ids) for _ in range(n_emotes)],
                       role_rank=role['rank'] if role else 0,
                       role_hoist_rank=role['rank'] if role and role['hoist'] else 0,
                       created_at=ms, updated_at=ms + 1000, search_updated_at=ms + 2000)
            yield row

    # ---- searches ----

    def pick_emote(self):
        """A name; three of five times one of the popular ones."""
        n = len(self.names)
        if self.rng.random() < .6:
            return self.names[self.by_rank[min(int(self.rng.paretovariate(.6)) - 1, n - 1)]]
        return self.names[self.rng.randrange(n)]

    def pick_user(self):
        return self.rng.choice(self.handles)[self.rng.random() < .4]

    def emote_search(self, typist):
        kind, q = typist.type(self.pick_emote)
        params = {'q': q, 'include_fields': 'id', 'highlight_fields': 'false', 'exhaustive_search': 'true'}
        clauses = ['deleted: false']
        if self.rng.random() < .85:
            clauses += ['flag_public_listed: true', 'flag_private: false']
        (self.emote_v4 if self.rng.random() < .5 else self.emote_v3)(kind, q, params, clauses)
        params['filter_by'] = ' && '.join(clauses)
        if self.rng.random() < .12:
            params['page'] = str(self.rng.randint(2, 4))
        return {'collection': 'emotes', 'kind': kind, 'params': params}

    def emote_v4(self, kind, q, params, clauses):
        rng = self.rng
        if rng.random() < .12:
            tags = rng.sample(self.tags[:60], rng.randint(1, 3))
            clauses.append('(' + rng.choice((' && ', ' || ')).join(f'tags:={t}' for t in tags) + ')')
        if rng.random() < .3:
            flag = rng.choice(('animated', 'default_zero_width', 'nsfw', 'approved_personal'))
            clauses.append(f'flag_{flag}: {rng.choice(("true", "false"))}')
        if rng.random() < .1 and kind != 'star':
            clauses.append('default_name: `%s`' % q.replace('`', '').rstrip('\\'))
        by = rng.choice(SCORES + ['created_at'])
        if by != 'created_at':
            clauses.append(f'{by}:>0')
        params.update(query_by='default_name,tags', query_by_weights='4,1', per_page=rng.choice(('30', '72', '10')),
                      sort_by=f'_text_match(buckets: 10):desc,{by}:{rng.choice(("desc", "desc", "asc"))}')

    def emote_v3(self, kind, q, params, clauses):
        rng = self.rng
        if rng.random() < .3:
            clauses.append('flag_animated: true')
        if rng.random() < .6:
            params.update(query_by='default_name,tags', query_by_weights='4,1', prefix='true,false')
        else:
            params.update(query_by='default_name', query_by_weights='4', prefix='true')
        second = rng.choice(('', ',score_top_all_time:desc', ',created_at:desc', ',score_top_all_time:desc'))
        params.update(prioritize_exact_match='true', prioritize_token_position='true',
                      prioritize_num_matching_fields='false', per_page='30',
                      sort_by='_text_match(buckets: 10):desc' + second)

    def user_search(self, typist):
        if self.rng.random() < .15:
            return {'collection': 'users', 'kind': 'channels', 'params': {
                'q': '*', 'query_by': '', 'include_fields': 'id', 'highlight_fields': 'false',
                'filter_by': f'emotes: {self.rng.choice(self.emote_ids)}', 'sort_by': 'role_hoist_rank:desc',
                'per_page': '30'}}
        kind, q = typist.type(self.pick_user)
        params = {'q': q, 'query_by': 'twitch_names,kick_names,google_names,discord_names',
                  'query_by_weights': '4,1,1,1', 'prioritize_exact_match': 'true', 'exhaustive_search': 'true',
                  'sort_by': '_text_match(buckets: 3):desc,role_rank:desc,_text_match(buckets: 10):desc',
                  'include_fields': 'id', 'highlight_fields': 'false', 'per_page': self.rng.choice(('30', '10', '5'))}
        if self.rng.random() < .1:
            params['page'] = '2'
        return {'collection': 'users', 'kind': kind, 'params': params}

    def role_search(self, typist):
        q = typist.beginning(self.rng.choice(self.roles)['name'])
        if self.rng.random() < .3 and len(q) > 4:
            q = typist.slip(q.lower())
        return {'collection': 'roles', 'kind': 'role', 'params': {
            'q': q, 'query_by': 'name', 'sort_by': '_text_match:desc,rank:desc', 'exhaustive_search': 'true',
            'include_fields': 'id', 'highlight_fields': 'false', 'per_page': '10'}}

    def make_searches(self, n):
        typist = Typist(self.rng, self.tags)
        for _ in range(n):
            dice = self.rng.random()
            yield (self.emote_search if dice < .6 else self.user_search if dice < .93 else self.role_search)(typist)


def make_7tv(out, n_emotes, n_users, n_queries, seed):
    source = SevenTv(n_emotes, n_users, seed)
    write_rows(f'{out}/emotes.jsonl', source.make_emotes())
    write_rows(f'{out}/users.jsonl', source.make_users())
    write_rows(f'{out}/roles.jsonl', source.roles)
    write_rows(f'{out}/queries.jsonl', source.make_searches(n_queries))
    with open(f'{out}/schemas.json', 'w', encoding='utf-8') as f:
        json.dump(SCHEMAS, f, indent=1)


# ---- npm packages ----

def read_packages():
    """Pairs of name and monthly downloads, in the order of the names."""
    archive = f'{CACHE}/{COUNTS.replace("@", "-")}.tgz'
    if not os.path.exists(archive):
        os.makedirs(CACHE, exist_ok=True)
        subprocess.run(['npm', 'pack', '--silent', COUNTS], cwd=CACHE, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(archive) as tar:
        counts = json.load(tar.extractfile('package/counts.json'))
    return sorted(counts.items())


def package_searches(rng, names, n):
    """Searches for names of the smallest corpus, so that all sizes can be asked the same."""
    typist = Typist(rng, [])
    nine = [name for name in names if len(name) == 9 and name.isalpha()]
    base = {'query_by': 'name', 'include_fields': 'id', 'highlight_fields': 'false', 'exhaustive_search': 'true'}
    popular = {'sort_by': 'downloads:desc'}
    for i in range(n):
        name = rng.choice(names)
        word = name.strip('@').replace('/', '').replace('-', '')
        slipped = typist.slip(typist.slip(rng.choice(nine)))
        kind, params = [
            ('exact', {'q': name, 'prefix': 'false'}),
            ('star', {'q': '*', **popular}),
            ('prefix1', {'q': word[:1], **popular}),
            ('prefix2', {'q': word[:2], **popular}),
            ('prefix4', {'q': word[:4]}),
            ('typo2', {'q': slipped, 'prefix': 'false'}),
            ('typo2_prefix', {'q': slipped}),
        ][i % 7]
        yield {'collection': 'packages', 'kind': kind, 'params': {**base, **params}}


def make_npm(out, n_names, n_queries, seed):
    rng = random.Random(seed)
    packages = read_packages()
    rng.shuffle(packages)
    chosen = packages[:n_names]
    write_rows(f'{out}/packages.jsonl',
               ({'id': str(i), 'name': name, 'downloads': n} for i, (name, n) in enumerate(chosen)))
    write_rows(f'{out}/queries.jsonl', package_searches(rng, [name for name, _ in packages[:10000]], n_queries))
    with open(f'{out}/schemas.json', 'w', encoding='utf-8') as f:
        json.dump([NPM_SCHEMA], f, indent=1)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('what', choices=('7tv', 'npm'))
    a.add_argument('out')
    for name, n in (('emotes', 300000), ('users', 160000), ('names', 1000000), ('queries', 3000), ('seed', 23)):
        a.add_argument(f'--{name}', type=int, default=n)
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    if a.what == '7tv':
        make_7tv(a.out, a.emotes, a.users, a.queries, a.seed)
    else:
        make_npm(a.out, a.names, a.queries, a.seed)


if __name__ == '__main__':
    main()
