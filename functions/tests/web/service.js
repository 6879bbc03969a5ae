import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { startDatabase } from './database.js'
import { startGateway } from './gateway.js'

/** How long a request is repeated, in milliseconds. */
const PATIENCE = 30_000
const LARGEST_PAGE = 200

/**
 * @typedef {{ username: string, password: string, token: string }} User
 * @typedef {{ id: number, sender: string, receiver: string, message: string, time_stamp: string }} Message
 * @typedef {{ token?: string, key?: string, body?: object }} RequestOptions
 */

/**
 * The whole service with a database of its own, on the ports of `make run`, and what can go wrong with it. It ends with
 * the process that has started it, if not before; nothing is left of it then.
 */
export class Service {
  url = 'http://localhost:9000'
  webSocketUrl = 'ws://localhost:9001'
  #database
  #gateway
  /** Of the gateways before this one. */
  #earlierLog = ''

  /**
   * @param {import('./database.js').Database} database
   * @param {import('./gateway.js').Gateway} gateway
   */
  constructor(database, gateway) {
    this.#database = database
    this.#gateway = gateway
  }

  static async start() {
    const database = await startDatabase()
    try {
      return new Service(database, await startGateway(database.url()))
    } catch (error) {
      await database.stop()
      throw error
    }
  }

  async stop() {
    await this.#gateway.stop()
    await this.#database.stop()
  }

  /**
   * Ends the gateway, its connections and all functions, and starts anew on the same ports and the same database.
   *
   * @param {() => Promise<void>} [meanwhile] what to do before the start
   */
  async restart(meanwhile) {
    await this.#gateway.stop()
    await meanwhile?.()
    this.#earlierLog += this.#gateway.log()
    this.#gateway = await startGateway(this.#database.url())
  }

  /** Kills the database's server, and starts it again on the same data. */
  async restartDatabase() {
    await this.#database.restart()
  }

  /** Kills all processes of functions, whatever they are doing. The next requests start others. */
  async killFunctions() {
    await this.#gateway.killFunctions()
  }

  /** What the gateways and the functions have written so far. */
  get log() {
    return this.#earlierLog + this.#gateway.log()
  }

  /**
   * Makes a request once, and returns the answer, whatever it is. With a body it is a POST, without one a GET.
   *
   * @param {string} path
   * @param {RequestOptions} [options]
   */
  request(path, { token, key, body } = {}) {
    return fetch(this.url + path, {
      method: body ? 'POST' : 'GET',
      body: body && JSON.stringify(body),
      headers: {
        ...(token && { Authorization: `Bearer ${token}` }),
        ...(key && { 'Idempotency-Key': key }),
        ...(body && { 'Content-Type': 'application/json' }),
      },
    })
  }

  /**
   * Makes a request until it is answered with other than 5xx, and returns the body. Fails if that is an error.
   *
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<any>}
   */
  async call(path, options) {
    const deadline = Date.now() + PATIENCE
    for (;;) {
      const answer = await this.request(path, options).catch(() => undefined)
      if (answer?.ok) return answer.json()
      const isFinal = answer !== undefined && answer.status < 500
      if (isFinal || Date.now() > deadline) {
        throw new Error(`${path}: ${answer?.status ?? 'no'} ${(await answer?.text()) ?? 'answer'}`)
      }
      await setTimeout(100)
    }
  }

  /**
   * Signs up a user, and logs in.
   *
   * @param {string} username
   * @param {string} [password]
   * @returns {Promise<User>}
   */
  async createUser(username, password = randomUUID()) {
    await this.call('/users', { body: { username, password } })
    return this.login(username, password)
  }

  /**
   * @param {string} username
   * @param {string} password
   * @returns {Promise<User>}
   */
  async login(username, password) {
    const { token } = await this.call('/login', { body: { username, password } })
    return { username, password, token }
  }

  /**
   * Sends a message, once however often it takes.
   *
   * @param {User} sender
   * @param {string} receiver
   * @param {string} message
   * @returns {Promise<Message>}
   */
  send({ username, token }, receiver, message) {
    return this.call('/messages', { token, key: randomUUID(), body: { sender: username, receiver, message } })
  }

  /**
   * All messages between a user and a peer, as they are stored.
   *
   * @param {User} user
   * @param {string} peer
   */
  async history({ username, token }, peer) {
    /** @type {Message[]} */
    const messages = []
    for (;;) {
      const body = { sender: username, receiver: peer, after: messages.length, limit: LARGEST_PAGE }
      const page = await this.call('/messages/query', { token, body })
      messages.push(...page.messages)
      if (!page.more) return messages
    }
  }
}
