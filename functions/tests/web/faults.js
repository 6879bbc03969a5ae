// Networks that fail, for clients: requests and answers that are lost, events that are lost, late or repeated.

/**
 * Numbers from 0 to 1 that are the same for the same seed (mulberry32).
 *
 * @param {number} seed
 */
export function randomNumbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A network whose faults can be switched on and off. The chances are between 0 and 1. */
export class Network {
  requestLost = 0
  answerLost = 0
  eventLost = 0
  eventTwice = 0
  eventLate = 0
  /** In milliseconds. */
  lateBy = 300
  /** How many requests have been made. */
  requests = 0
  /** The connections that clients have opened, with those that are closed. @type {WebSocket[]} */
  sockets = []
  /** What clients have said on them. @type {unknown[]} */
  said = []

  /** @param {() => number} [random] */
  constructor(random = Math.random) {
    this.random = random
  }

  /** Without faults from now on. */
  heal() {
    this.requestLost = this.answerLost = this.eventLost = this.eventTwice = this.eventLate = 0
  }

  /** Closes all connections, as when the network is gone. */
  disconnect() {
    this.sockets.forEach((socket) => socket.close())
  }

  /** Keeps back the answer to the next request. Returns what lets it through. */
  hold() {
    /** @type {PromiseWithResolvers<void>} */
    const { promise, resolve } = Promise.withResolvers()
    this.next = async (...request) => {
      const answer = await globalThis.fetch(...request)
      await promise
      return answer
    }
    return resolve
  }

  /** @param {number} chance */
  happens(chance) {
    return this.random() < chance
  }

  /** What is made of the next request, if it is not to be sent as it is. @type {typeof globalThis.fetch | undefined} */
  next

  /** @type {typeof globalThis.fetch} */
  fetch = async (...request) => {
    this.requests += 1
    if (this.happens(this.requestLost)) throw new TypeError('lost on the way')
    const { next = globalThis.fetch } = this
    this.next = undefined
    const answer = await next(...request)
    if (!this.happens(this.answerLost)) return answer
    await answer.body?.cancel()
    throw new TypeError('lost on the way back')
  }

  /** A class to be used in place of `WebSocket`. */
  get WebSocket() {
    const network = this
    return class extends globalThis.WebSocket {
      /** @param {string | URL} url @param {string | string[]} [protocols] */
      constructor(url, protocols) {
        super(url, protocols)
        network.sockets.push(this)
      }

      /** @param {string} data */
      send(data) {
        network.said.push(data)
        super.send(data)
      }

      /** @param {((this: WebSocket, event: MessageEvent) => any) | null} listener */
      set onmessage(listener) {
        super.onmessage = listener && ((event) => network.deliver(() => listener.call(this, event)))
      }
    }
  }

  /** @param {() => void} event */
  deliver(event) {
    if (this.happens(this.eventLost)) return
    const isLate = this.happens(this.eventLate)
    if (isLate) setTimeout(event, this.lateBy * this.random())
    else event()
    if (this.happens(this.eventTwice)) setTimeout(event, this.lateBy * this.random())
  }
}
