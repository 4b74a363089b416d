#!/usr/bin/env python3
"""A world of documents of every kind, with every optional field there, null and absent: what the index holds is what an
independent derivation says, to the last field. TAILFIN_USERS=100000 makes 506,000 documents."""
import time

import seventv
from seventv_write import ABSENT, NULL, SHARES, THERE
from tailfin import ROOT, Mongo, Scratch, Tailfin, check, main, scale, seed

OF_EACH_FATE = 20


def every_optional_field(application):
    """Of every kind some documents that have all optional fields, that have them null, that have none of them."""
    for application.fate in (THERE, NULL, ABSENT):
        for kind in SHARES:
            application.insert(kind, [application.new(kind) for _ in range(OF_EACH_FATE)])
    application.fate = None


def await_applied(server, until_s, timeout=300):
    """Everything that MongoDB did before that second is in the index: a comparison of a large world takes minutes, and
    would be made in vain."""
    end = time.monotonic() + timeout
    while True:
        source = server.ask('GET', '/admin/status')[1]['source']
        if time.time() - source['lag_s'] > until_s + 1 and not source['cascades']:
            return
        check(time.monotonic() < end, f'behind by more than {timeout} s')
        time.sleep(.5)


def agree(server, shell, what):
    await_applied(server, time.time())
    begin = time.monotonic()
    left = seventv.settle(server, shell, 120)
    check(not left, f'{what}: {len(left)} differences:\n' + '\n'.join(left[:10]))
    n = sum(c['num_documents'] for c in server.ask('GET', '/collections')[1])
    print(f'{what}: {n} documents of {len(seventv.KINDS)} kinds, all as derived (compared in '
          f'{time.monotonic() - begin:.1f} s)', flush=True)


def run(program):
    rng = seed()
    with Scratch() as scratch, Mongo(scratch + '/mongodb') as mongo:
        shell = seventv.Shell(ROOT, mongo.uri, 'journey')
        application = seventv.Application(shell, rng)
        application.fill(scale('TAILFIN_USERS', 1000))
        every_optional_field(application)
        server = Tailfin(program, scratch + '/index', '--mongodb-uri', mongo.uri)
        took = server.start(timeout=600)
        agree(server, shell, f'bootstrap in {took:.1f} s')
        every_optional_field(application)
        for _ in range(300):
            application.step()
        agree(server, shell, 'changes')
        server.stop()
        shell.close()


main(run)
