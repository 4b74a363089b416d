// The server under test: Tailfin in a directory of its own, or the one that TYPESENSE_URL names.
import { spawn } from 'node:child_process'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}

async function waitHealthy(url, child) {
  for (let i = 0; i < 600; i++) {
    if (child.exitCode !== null) throw new Error(`the server ended by itself with status ${child.exitCode}`)
    try {
      if ((await fetch(`${url}/health`)).ok) return
    } catch {
      // not listening yet
    }
    await sleep(50)
  }
  throw new Error('the server was not healthy within 30 s')
}

/** { url, key, isTailfin, scratch, stop() } */
export async function startServer() {
  const scratch = mkdtempSync(join(tmpdir(), 'tailfin-clients-'))
  const clean = () => rmSync(scratch, { recursive: true, force: true })
  if (process.env.TYPESENSE_URL) {
    return { url: process.env.TYPESENSE_URL.replace(/\/$/, ''), key: process.env.TYPESENSE_API_KEY ?? 'xyz',
             isTailfin: false, scratch, stop: async () => clean() }
  }
  const key = 'clients-key', port = await freePort(), url = `http://127.0.0.1:${port}`
  const log = openSync(join(scratch, 'log'), 'w')
  const child = spawn(process.env.CLIENTS_PROGRAM,
                      ['serve', '--listen', `127.0.0.1:${port}`, '--data-dir', join(scratch, 'index'), '--api-key', key],
                      { stdio: ['ignore', log, log] })
  const ended = new Promise(resolve => child.once('exit', resolve))
  async function stop() {
    child.kill('SIGTERM')
    const status = await ended
    const text = readFileSync(join(scratch, 'log'), 'utf8')
    clean()
    if (status !== 0) throw new Error(`the server ended with status ${status}:\n${text.slice(-2000)}`)
  }
  try {
    await waitHealthy(url, child)
  } catch (e) {
    child.kill('SIGKILL')
    throw e
  }
  return { url, key, isTailfin: true, scratch, stop }
}

/** The client's description of a node. */
export function nodeOf(url) {
  const { protocol, hostname, port } = new URL(url)
  return { host: hostname, port: Number(port || (protocol === 'https:' ? 443 : 80)), protocol: protocol.slice(0, -1) }
}
