#!/usr/bin/env python3
"""TCP proxies on loopback that can be cut, held and slowed: the network of a replica set. A process of its own, so
that it keeps its pace whatever the test does. Commands on standard input, an answer to each on standard output:
    add PORT        a proxy to that port of loopback; answers its own port
    open PORT       bytes pass
    cut PORT        connections end, new ones too
    hold PORT       connections stay, nothing passes
    slow PORT MS    every piece waits so long
Standard library only."""
import asyncio
import os
import subprocess
import sys


class Network:
    """The proxies, seen from the test."""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def do(self, *words):
        self.process.stdin.write(' '.join(map(str, words)) + '\n')
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


class Proxy:
    def __init__(self, target):
        self.target, self.delay_s, self.is_cut = target, 0, False
        self.gate = asyncio.Event()
        self.gate.set()
        self.writers = set()

    async def pump(self, reader, writer):
        while data := await reader.read(1 << 16):
            await self.gate.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            writer.write(data)
            await writer.drain()

    async def serve(self, reader, writer):
        ends = [writer]
        try:
            if self.is_cut:
                return
            await self.gate.wait()
            there_reader, there_writer = await asyncio.open_connection('127.0.0.1', self.target)
            ends.append(there_writer)
            self.writers.update(ends)
            pumps = [asyncio.ensure_future(self.pump(reader, there_writer)),
                     asyncio.ensure_future(self.pump(there_reader, writer))]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for p in pumps:
                p.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass
        finally:
            self.writers.difference_update(ends)
            for w in ends:
                w.transport.abort()

    def set(self, verb, delay_s):
        self.is_cut, self.delay_s = verb == 'cut', delay_s
        self.gate.clear() if verb == 'hold' else self.gate.set()
        for w in list(self.writers) if self.is_cut else ():
            w.transport.abort()


async def serve_commands():
    proxies = {}
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        verb, port, *rest = line.decode().split()
        port = int(port)
        if verb == 'add':
            proxy = Proxy(port)
            server = await asyncio.start_server(proxy.serve, '127.0.0.1', 0)
            port = server.sockets[0].getsockname()[1]
            proxies[port] = proxy, server
        else:
            proxies[port][0].set(verb, int(rest[0]) / 1000 if rest else 0)
        print(port, flush=True)
    os._exit(0)  # with whatever is still open


if __name__ == '__main__':
    asyncio.run(serve_commands())
