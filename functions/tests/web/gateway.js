// The program of `make run`: API Gateway and Lambda on this machine, with the functions.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { childrenOf } from './processes.js'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const PROGRAM = join(resolve(ROOT, process.env.CARGO_TARGET_DIR || 'target'), 'debug/local')

// Becomes the program. Beside it something waits for the end of descriptor 3, which comes when the process that starts
// this has been killed, and then kills the whole group. It is started by way of another shell, so as not to be a child
// of the program, as the functions are.
const SCRIPT = `
( (read -r end; kill -KILL 0) <&3 & )
exec "$@" 3<&-`

/**
 * @typedef {object} Gateway
 * @property {() => string} log what the program and the functions have written
 * @property {() => Promise<void>} killFunctions
 * @property {() => Promise<void>} stop kills it and the functions
 */

/**
 * @param {string} databaseUrl
 * @returns {Promise<Gateway>}
 */
export async function startGateway(databaseUrl) {
  const gateway = spawn('sh', ['-c', SCRIPT, 'sh', PROGRAM], {
    cwd: ROOT,
    detached: true,
    env: { ...process.env, DATABASE_URL: databaseUrl },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  const pid = /** @type {number} */ (gateway.pid)
  // However it ends, what it has started ends too.
  gateway.on('exit', () => killGroup(pid))
  const closed = once(gateway, 'close')

  let log = ''
  const isReady = new Promise((resolve, reject) => {
    for (const output of [gateway.stdout, gateway.stderr]) {
      createInterface({ input: /** @type {import('node:stream').Readable} */ (output) }).on('line', (line) => {
        log += `${line}\n`
        if (line.startsWith('Ready on')) resolve(undefined)
      })
    }
    closed.then(() => reject(new Error(`The gateway has ended:\n${log}`)))
  })
  await isReady

  return {
    log: () => log,
    killFunctions: async () => {
      const functions = childrenOf(pid)
      functions.forEach((one) => process.kill(one, 'SIGKILL'))
      while (childrenOf(pid).some((one) => functions.includes(one))) await setTimeout(10)
    },
    stop: async () => {
      killGroup(pid)
      await closed
    },
  }
}

/** @param {number} pid */
function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // All of it has ended already.
  }
}
