import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { childrenOf, isRunning } from './processes.js'
import { Service } from './service.js'

/** @import { Readable, Writable } from 'node:stream' */

/** In milliseconds. */
const PATIENCE = 30_000

describe('the service of the tests', () => {
  /** @type {Service} */
  let service
  before(async () => (service = await Service.start()))
  after(() => service?.stop())

  /** @param {string} name */
  const conversation = async (name) => {
    const [user, peer] = [await service.createUser(`${name}-1`), await service.createUser(`${name}-2`)]
    return { user, peer: peer.username }
  }

  test('serves, and tells what is stored, however many pages that is', async () => {
    const { user, peer } = await conversation('pages')
    const texts = Array.from({ length: 201 }, (_, index) => `message ${index + 1}`)
    for (const text of texts) await service.send(user, peer, text)
    const history = await service.history(user, peer)
    assert.deepEqual(
      history.map(({ message }) => message),
      texts,
    )
  })

  test('serves again after its database was killed, and says plainly when it can not', async () => {
    const { user, peer } = await conversation('database')
    const first = await service.send(user, peer, 'before')
    const restarted = service.restartDatabase()
    let isBack = false
    restarted.finally(() => (isBack = true))
    let refused = 0
    while (!isBack) {
      const answer = await service.request('/users', { token: user.token })
      await answer.text()
      if (answer.ok) continue
      assert.equal(answer.status, 503)
      assert.ok(answer.headers.has('Retry-After'))
      refused += 1
    }
    await restarted
    assert.ok(refused > 0)
    const second = await service.send(user, peer, 'after')
    assert.deepEqual(await service.history(user, peer), [first, second])
  })

  test('answers the next request after its functions were killed', async () => {
    const { user } = await conversation('functions')
    await service.killFunctions()
    const answer = await service.request('/users', { token: user.token })
    assert.equal(answer.status, 200)
  })

  test('has the messages still after it was restarted, and the earlier log', async () => {
    const { user, peer } = await conversation('restart')
    const message = await service.send(user, peer, 'before')
    await service.restart()
    assert.deepEqual(await service.history(user, peer), [message])
    assert.equal(service.log.match(/^Ready on/gm)?.length, 2)
  })
})

describe('nothing is left', () => {
  const program = `
    import { Service } from ${JSON.stringify(new URL('service.js', import.meta.url))}
    const service = await Service.start()
    await service.createUser('somebody')
    await service.restartDatabase()
    console.log('started')
    process.stdin.once('data', () => service.stop())`

  /** @typedef {import('node:child_process').ChildProcessByStdio<Writable, Readable, null>} Owner */

  /**
   * Starts a service in a process of its own, has it ended with `end`, and waits until nothing of it is there.
   *
   * @param {(owner: Owner) => void} end
   */
  const check = async (end) => {
    const directory = await mkdtemp(join(tmpdir(), 'chat-web-'))
    const owner = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      env: { ...process.env, TMPDIR: directory },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const closed = once(owner, 'close')
    const [line] = await Promise.race([once(owner.stdout, 'data'), closed])
    assert.equal(String(line), 'started\n')
    const processes = descendantsOf(/** @type {number} */ (owner.pid))
    assert.ok(processes.length > 0)
    end(owner)
    await closed
    while (processes.some(isRunning) || (await readdir(directory)).length > 0) await setTimeout(20)
    await rm(directory, { recursive: true })
  }

  test('of a service that was stopped', { timeout: PATIENCE }, () => check((owner) => owner.stdin.end('stop')))

  test('of a service whose test was killed', { timeout: PATIENCE }, () => check((owner) => owner.kill('SIGKILL')))
})

/**
 * @param {number} pid
 * @returns {number[]}
 */
function descendantsOf(pid) {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)])
}
