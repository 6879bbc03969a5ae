// A database of a test's own, behind a port that stays the same when the server is started again.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream'
import { fileURLToPath } from 'node:url'

const SERVER = fileURLToPath(new URL('../../local/server', import.meta.url))

// A line of its input has the server killed and started again on the same data. At the end of its input, which also
// comes when the process that holds the other end has been killed, the server is killed and its data removed.
const SCRIPT = `
while "$1" "$2" sh -c 'echo "$DATABASE_URL"; read -r again; ended=$?; kill -KILL "$SERVER_PID"; exit $ended'; do :; done
rm -rf "$2"`

/**
 * @typedef {object} Database
 * @property {() => string} url of a user to whom everything is allowed; the password changes with each start
 * @property {() => Promise<void>} restart kills the server, and starts it again on the same data
 * @property {() => Promise<void>} stop
 */

/** @returns {Promise<Database>} */
export async function startDatabase() {
  const directory = await mkdtemp(join(tmpdir(), 'chat-web-'))
  const script = spawn('sh', ['-c', SCRIPT, 'sh', SERVER, directory], { detached: true, env: environment() })
  const ended = once(script, 'close')
  let errors = ''
  script.stderr.setEncoding('utf8').on('data', (text) => (errors += text))
  const lines = createInterface({ input: script.stdout })[Symbol.asyncIterator]()

  const started = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`The database has ended:\n${errors}`)
    return new URL(value)
  }

  let server = await started()
  const proxy = await startProxy(() => Number(server.port))

  return {
    url: () => {
      const url = new URL(server)
      url.port = String(proxy.port)
      return url.href
    },
    restart: async () => {
      script.stdin.write('\n')
      server = await started()
    },
    stop: async () => {
      script.stdin.end()
      await Promise.all([ended, proxy.stop()])
    },
  }
}

function environment() {
  const { DATABASE_URL, SERVER_OPTIONS = '', ...others } = process.env
  // A killed server must not lose what it has acknowledged; a machine without power may.
  return { ...others, SERVER_OPTIONS: `--innodb-flush-log-at-trx-commit=2 ${SERVER_OPTIONS}` }
}

/**
 * Passes connections on to the port that `target` says at the time.
 *
 * @param {() => number} target
 */
async function startProxy(target) {
  const host = '127.0.0.1'
  const proxy = createServer({ noDelay: true }, (client) => {
    const server = connect({ host, port: target(), noDelay: true })
    // When one of the two ends or fails, the other one does.
    pipeline(client, server, client, () => {})
  })
  proxy.listen(0, host)
  await once(proxy, 'listening')
  const closed = once(proxy, 'close')
  const { port } = /** @type {import('node:net').AddressInfo} */ (proxy.address())
  return {
    port,
    stop: async () => {
      proxy.close()
      await closed
    },
  }
}
