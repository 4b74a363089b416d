#!/usr/bin/env python3
"""Beside MongoDB: the API refuses every write to a fed collection, by name and by alias, and changes nothing;
collections of its own are written as in standalone mode."""
import os
import random

import seventv
from tailfin import ROOT, Mongo, Scratch, Tailfin, check, main, seed

MINE = {'name': 'mine', 'fields': [{'name': 'a', 'type': 'string'}]}


def expect(server, status, method, path, body=None):
    got, answer = server.ask(method, path, body)
    check(got == status, f'{method} {path}: {got} in place of {status}: {answer}')
    return answer


def run(program):
    rng = seed()
    with Scratch() as scratch, Mongo(scratch + '/mongodb') as mongo:
        shell = seventv.Shell(ROOT, mongo.uri, 'journey')
        seventv.Application(shell, random.Random(rng.random())).fill(50)
        server = Tailfin(program, os.path.join(scratch, 'index'), '--mongodb-uri', mongo.uri)
        server.start()
        before = server.export('emotes')
        check(before, 'no emotes')
        one = next(iter(before))
        schema = expect(server, 200, 'GET', '/collections/emotes')
        expect(server, 200, 'PUT', '/aliases/other', {'collection_name': 'emotes'})
        for name in ('emotes', 'other'):
            docs = f'/collections/{name}/documents'
            expect(server, 409, 'POST', docs, {'id': 'x'})
            expect(server, 409, 'POST', f'{docs}?action=upsert', before[one])
            expect(server, 409, 'POST', f'{docs}/import', b'{"id":"x"}')
            expect(server, 409, 'PATCH', f'{docs}/{one}', {'default_name': 'x'})
            expect(server, 409, 'DELETE', f'{docs}/{one}')
            expect(server, 409, 'DELETE', f'{docs}/nope?ignore_not_found=true')
            expect(server, 409, 'DELETE', f'{docs}?filter_by=*')
            expect(server, 409, 'PATCH', f'{docs}?filter_by=*', {'default_name': 'x'})
            expect(server, 409, 'PATCH', f'/collections/{name}',
                   {'fields': [{'name': 'x', 'type': 'string', 'optional': True}]})
            expect(server, 409, 'DELETE', f'/collections/{name}')
        expect(server, 409, 'POST', '/collections', {**MINE, 'name': 'emotes'})
        check(server.export('emotes') == before, 'a refused write changed something')
        check(expect(server, 200, 'GET', '/collections/emotes') == schema, 'a refused change changed something')
        expect(server, 201, 'POST', '/collections', MINE)
        expect(server, 201, 'POST', '/collections/mine/documents', {'id': '1', 'a': 'x'})
        server.kill()
        server.start()
        check(server.export('mine') == {'1': {'id': '1', 'a': 'x'}}, 'a write beside MongoDB was lost')
        check(server.export('emotes') == before, 'the fed collection changed over a restart')
        server.stop()
        shell.close()


main(run)
