#!/usr/bin/env python3
"""kill -9 of Tailfin at random moments of bootstrap, tail, merge and commit, under a writer of every kind of
operation: afterwards 0 missing, 0 stale, 0 ghost documents, and the directory passes `tailfin check`."""
import os
import random
import subprocess
import threading
import time

import seventv
from tailfin import ROOT, Mongo, Scratch, Tailfin, check, main, scale, seed


class Writer(threading.Thread):
    def __init__(self, application):
        super().__init__(daemon=True)
        self.application, self.is_over, self.n, self.error = application, False, 0, None

    def run(self):
        try:
            while not self.is_over:
                self.application.step()
                self.n += 1
        except Exception as e:  # reported by the test's thread
            self.error = e


def run(program):
    rng = seed()
    kills = scale('TAILFIN_KILLS', 10)
    writeback = os.environ.get('TAILFIN_WRITEBACK', 'none')
    with Scratch() as scratch, Mongo(scratch + '/mongodb') as mongo:
        shell = seventv.Shell(ROOT, mongo.uri, 'journey')
        application = seventv.Application(shell, random.Random(rng.random()))
        application.fill(scale('TAILFIN_USERS', 1500))
        writer = Writer(application)
        writer.start()
        server = Tailfin(program, scratch + '/index', '--mongodb-uri', mongo.uri, '--commit-ms', '100',
                         '--writeback', writeback)
        for k in range(kills):
            # Half of the kills do not wait for anything: they hit the bootstrap and the start.
            server.start(wait=rng.random() < .5)
            time.sleep(rng.uniform(0, 1.5))
            server.kill()
        server.start()
        writer.is_over = True
        writer.join()
        if writer.error:
            raise writer.error
        left = seventv.settle(server, shell)
        check(not left, f'{len(left)} differences after {kills} kills:\n' + '\n'.join(left[:10]) + '\n' + server.tail())
        print(f'{kills} kills under {writer.n} operations: 0 missing, 0 stale, 0 ghosts')
        server.stop()
        check(subprocess.run([program, 'check', scratch + '/index']).returncode == 0, 'tailfin check')
        shell.close()


main(run)
