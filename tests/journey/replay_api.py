#!/usr/bin/env python3
"""Plays a recorded conversation with a Typesense server against this one and compares the answers.

  replay_api.py URL KEY RECORDING

RECORDING: JSON lines with method, path, auth (true: the admin key; a text: that key; false: none), body, status,
content_type, response. `true` in a response stands for anything (masked sentences, timings). The server must be empty.
Exit status 1 if an exchange differs that is not among the named ones (indexer/API.md lists them with their reasons).
Standard library only."""
import http.client
import json
import sys
import urllib.parse

NAMED = {
    41: 'the peer cuts the marks of prefixes to the length of an excluded word; ours to that of the word itself',
    85: 'the peer counts a document twice in `found` if a range meets two values of an array; ours counts it once',
    159: 'the order of equal facet counts, which the peer leaves to chance',
    177: 'an empty list of searches is a mistake of the client: 400, not 500',
}


def differences(expected, got, path=''):
    if expected is True and not isinstance(got, bool):
        return []
    numbers = [isinstance(v, (int, float)) and not isinstance(v, bool) for v in (expected, got)]
    if type(expected) is not type(got) and not all(numbers):
        return [f'{path}: {str(expected)[:80]} | {str(got)[:80]}']
    if isinstance(expected, dict):
        return [d for k in sorted(expected.keys() | got.keys()) for d in member_differences(expected, got, k, path)]
    if isinstance(expected, list):
        if len(expected) != len(got):
            return [f'{path}: {len(expected)} items | {len(got)} items']
        return [d for i, (e, g) in enumerate(zip(expected, got)) for d in differences(e, g, f'{path}[{i}]')]
    return [] if expected == got else [f'{path}: {str(expected)[:80]} | {str(got)[:80]}']


def member_differences(expected, got, key, path):
    if key == 'search_time_ms' or (key == 'created_at' and 'fields' in expected):
        return []
    if key not in expected or key not in got:
        return [f'{path}.{key}: only {"recorded" if key in expected else "ours"}']
    return differences(expected[key], got[key], f'{path}.{key}')


def body_differences(expected, got):
    try:
        if isinstance(expected, str):
            return differences([json.loads(l) for l in expected.split('\n')], [json.loads(l) for l in got.split('\n')])
        return differences(expected, json.loads(got))
    except ValueError:
        return [] if expected == got else [f'{str(expected)[:100]!r} | {got[:100]!r}']


def play(connection, key, exchange):
    headers = {}
    if exchange['auth']:
        headers['X-TYPESENSE-API-KEY'] = key if exchange['auth'] is True else exchange['auth']
    path = exchange['path'].replace('x-typesense-api-key=xyz', f'x-typesense-api-key={key}')
    body = exchange['body']
    if body is not None and not isinstance(body, str):
        body = json.dumps(body)
    connection.request(exchange['method'], path, body=body.encode() if body is not None else None, headers=headers)
    response = connection.getresponse()
    return response.status, response.getheader('content-type'), response.read().decode()


def main():
    url, key, recording = sys.argv[1:4]
    connection = http.client.HTTPConnection(urllib.parse.urlparse(url).netloc, timeout=30)
    n = n_status = n_body = n_unnamed = 0
    with open(recording, encoding='utf-8') as lines:
        for n, line in enumerate(lines):
            exchange = json.loads(line)
            status, content_type, text = play(connection, key, exchange)
            found = body_differences(exchange['response'], text)
            if content_type != exchange['content_type']:
                found.append(f'content type {exchange["content_type"]} | {content_type}')
            n_status += status == exchange['status']
            n_body += not found
            if status != exchange['status'] or found:
                n_unnamed += n not in NAMED
                print(n, exchange['method'], exchange['path'][:120], exchange['status'], status, found[:3],
                      f'({NAMED[n]})' if n in NAMED else 'NOT NAMED')
    print(f'{n + 1} exchanges: status equal {n_status}, body equal {n_body}, {n_unnamed} not named')
    sys.exit(n_unnamed > 0)


main()
