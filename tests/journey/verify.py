#!/usr/bin/env python3
"""Documents change in the files of the server while it is no replica set, so that no event tells of it. `tailfin
verify` finds exactly these, --repair puts them right, and the steady comparison does so unasked; its exit status,
its refusals, cancelling and restarting. TAILFIN_DAMAGE=1000 is the row of the requirements."""
import base64
import os
import random
import subprocess
import time

import seventv
from seventv_values import raw, ulid
from tailfin import KEY, ROOT, Mongo, Scratch, Tailfin, check, environment, main, scale, seed

STEADY = 'tailfin_verify_repaired_total'


def cli(server, *words):
    """Exit status and everything that was printed."""
    r = subprocess.run([server.program, 'verify', '--url', f'http://127.0.0.1:{server.port}', '--api-key', KEY, *words],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, env=environment())
    return r.returncode, r.stdout


def expect(server, status, text, *words):
    got, out = cli(server, *words)
    check(got == status and text in out, f'verify {" ".join(words)}: {got} in place of {status}, "{text}" in:\n{out}')


def metric(server, name):
    lines = server.ask('GET', '/metrics')[1].splitlines()
    return float(next(l for l in lines if l.startswith(name + ' ')).split()[-1])


def behind_its_back(mongo, commands):
    """Runs commands on the server's files without an oplog."""
    script = f'{ROOT}/scripts/mongod.sh'
    subprocess.run([script, 'stop', mongo.directory], check=True)
    mongod = subprocess.run([script, 'path'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    port = open(f'{mongo.directory}/port').read().strip()
    subprocess.run([mongod, '--dbpath', f'{mongo.directory}/db', '--port', port, '--bind_ip', '127.0.0.1', '--fork',
                    '--logpath', f'{mongo.directory}/alone.log', '--pidfilepath', f'{mongo.directory}/mongod.pid',
                    '--nounixsocket'], stdout=subprocess.DEVNULL, check=True)
    shell = seventv.Shell(ROOT, f'mongodb://127.0.0.1:{port}/?directConnection=true', 'journey')
    for c in commands:
        shell.run(c)
    shell.close()
    subprocess.run([script, 'stop', mongo.directory], check=True)
    subprocess.run([script, 'start', mongo.directory], stdout=subprocess.DEVNULL, check=True,
                   env={**os.environ, 'TAILFIN_OWNER_PID': str(os.getpid())})


def damage(shell, rng, n):
    """Commands that delete, change and add n emotes each, and what is to be found: {(kind, id)}."""
    emotes = shell.find('emotes')
    rng.shuffle(emotes)
    gone, changed, models = emotes[:n], emotes[n:2 * n], emotes[2 * n:3 * n]
    added = []
    for e in models:
        added.append({**e, '_id': {'$binary': {'subType': '04', 'base64': base64.b64encode(
            raw(e['_id'])[:6] + rng.randbytes(10)).decode()}}})
    commands = [
        {'delete': 'emotes', 'deletes': [{'q': {'_id': e['_id']}, 'limit': 1} for e in gone]},
        {'update': 'emotes', 'updates': [{'q': {'_id': e['_id']}, 'u': {'$set': {'default_name': f'behind{i}'}}}
                                         for i, e in enumerate(changed)]},
        {'insert': 'emotes', 'documents': added}]
    want = {('ghost', ulid(e['_id'])) for e in gone} | {('stale', ulid(e['_id'])) for e in changed}
    return commands, want | {('missing', ulid(e['_id'])) for e in added}


def find_and_repair(server, mongo, shell, rng, n):
    expect(server, 0, ' 0 missing, 0 stale, 0 ghosts', '--wait')
    commands, want = damage(shell, rng, n)
    behind_its_back(mongo, commands)
    server.wait_healthy()
    counts = f' {n} missing, {n} stale, {n} ghosts; '
    expect(server, 1, counts + '0 repaired', 'emotes', '--wait')
    answer = server.ask('GET', '/admin/verify')[1]
    found = {(f['found'], f['id']) for f in answer['findings']}
    check(found == want, f'found {sorted(found ^ want)[:4]} wrongly or not')
    check(answer['state'] == 'done' and not answer['running'], f'not done: {answer["state"]}')
    expect(server, 0, counts + f'{3 * n} repaired', '--repair', '--wait')
    expect(server, 0, ' 0 missing, 0 stale, 0 ghosts', '--wait')
    left = seventv.settle(server, shell)
    check(not left, 'after the repair: ' + '\n'.join(left[:5]))
    print(f'{n} missing, {n} stale, {n} ghosts: each found by its id, all repaired')


def refusals(server):
    expect(server, 1, 'no collection `nothing`', 'nothing')
    check(server.ask('DELETE', '/admin/verify')[0] == 404, 'nothing was to be cancelled')
    check(server.ask('POST', '/admin/verify?repair=perhaps')[0] == 400, 'repair=perhaps is accepted')
    check(server.ask('POST', '/admin/verify', {'docs_per_s': 20, 'repair': True})[0] == 202, 'is refused')
    expect(server, 1, 'running already', '--wait')
    check(server.ask('DELETE', '/admin/verify')[0] == 202, 'cannot be cancelled')
    end = time.monotonic() + 20
    while server.ask('GET', '/admin/verify')[1]['running']:
        check(time.monotonic() < end, 'is not cancelled')
        time.sleep(.05)
    check(server.ask('GET', '/admin/verify')[1]['state'] == 'cancelled', 'was cancelled, and does not say so')


def a_restart_in_between(server):
    check(server.ask('POST', '/admin/verify?docs_per_s=20')[0] == 202, 'is refused')
    waiting = subprocess.Popen([server.program, 'verify', '--wait', '--url', f'http://127.0.0.1:{server.port}',
                                '--api-key', KEY], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment())
    check(waiting.wait(30) == 1, 'a second one is not refused')
    server.stop()
    server.start()
    check(server.ask('GET', '/admin/verify')[1]['state'] == 'never', 'an order outlives the server')
    expect(server, 0, ' 0 missing, 0 stale, 0 ghosts', '--wait')


def unasked(program, directory, mongo, shell, rng):
    commands, _ = damage(shell, rng, 10)
    behind_its_back(mongo, commands)
    server = Tailfin(program, directory, '--mongodb-uri', mongo.uri, '--verify-docs-per-s', '20000')
    server.start()
    end = time.monotonic() + 60
    while metric(server, STEADY) < 30:
        check(time.monotonic() < end, f'{metric(server, STEADY)} repaired: {server.ask("GET", "/admin/status")[1]}')
        time.sleep(.1)
    check('found=ghost' in open(server.log_path).read(), 'nothing was logged')
    left = seventv.settle(server, shell)
    check(not left, 'unasked: ' + '\n'.join(left[:5]))
    verify = server.ask('GET', '/admin/status')[1]['source']['verify']
    check(verify['on'] and verify['docs_per_s'] == 20000, f'the status says {verify}')
    server.stop()


def run(program):
    rng, n_damaged = seed(), scale('TAILFIN_DAMAGE', 20)
    with Scratch() as scratch, Mongo(scratch + '/mongodb') as mongo:
        shell = seventv.Shell(ROOT, mongo.uri, 'journey', retry_s=30)
        seventv.Application(shell, random.Random(rng.random())).fill(max(300, 2 * n_damaged))
        directory = os.path.join(scratch, 'index')
        server = Tailfin(program, directory, '--mongodb-uri', mongo.uri, '--verify-docs-per-s', '0')
        server.start()
        find_and_repair(server, mongo, shell, rng, n_damaged)
        refusals(server)
        a_restart_in_between(server)
        server.stop()
        unasked(program, directory, mongo, shell, rng)
        shell.close()


main(run)
