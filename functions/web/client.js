/**
 * A client of the chat backend, for browsers and Node.js 22.7 or later.
 *
 *     const service = { url: 'http://localhost:9000', webSocketUrl: 'ws://localhost:9001' }
 *     const chat = await Chat.login(service, 'alice', 'white rabbit 1865')
 *     chat.on('message', ({ sender, message }) => console.log(`${sender}: ${message}`))
 *     await chat.send('bob', 'Hi, Bob!')
 *
 * It keeps the user's conversations as the service has them, whatever fails meanwhile, by the rules of docs/api.md.
 */

/**
 * Where the service is. `storage`, such as `sessionStorage`, keeps session and unsent messages beyond the page; `fetch`
 * and `WebSocket` replace the usual ones.
 * @typedef {{ url: string, webSocketUrl: string, storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>,
 *   fetch?: typeof globalThis.fetch, WebSocket?: typeof globalThis.WebSocket }} Service
 */

/**
 * A message as it is stored. `id` counts 1, 2, 3 … in its conversation.
 * @typedef {{ id: number, sender: string, receiver: string, message: string, time_stamp: string }} Message
 */

/**
 * A conversation as the service answers it. An event about a long message lacks the text.
 * @typedef {{ peer: string, last_message: Omit<Message, 'message'> & { message?: string }, unread: number,
 *   read_id: number, peer_read_id: number, blocked: boolean }} State
 */

/**
 * A message that is not known to be stored yet. With an `error` it was refused, and waits for `resend` or `discard`.
 * `isHere`: a message of this text is here already; its event can come before the answer.
 * @typedef {{ key: string, receiver: string, message: string, error: ChatError | null, isHere: boolean }} Outgoing
 */

/** @typedef {{ username: string, token: string, expires_at: string }} Session */
/** @typedef {{ id: string, device: string | null, created_at: string, expires_at: string, current: boolean }} Device */
/** `online` while the WebSocket is open. @typedef {'offline' | 'connecting' | 'online'} Status */

/**
 * What `on` tells of:
 * - `status`: the connection has changed
 * - `conversation`: something in it has changed
 * - `message`: one is new, sent by whomever; if its conversation was not loaded, those before it can be new too
 * - `error`: something failed for good, and nobody waits for it
 * - `end`: the session is over, because of an error or because the user wanted it
 * @typedef {{ status: Status, conversation: Conversation, message: Message, error: unknown,
 *   end: ChatError | null }} Events
 */

/** How long a request may take, in milliseconds; the service takes 5 s at most. */
const REQUEST = 10_000
/** The first and the longest pause before something is tried again. */
const FIRST_PAUSE = 500
const LONGEST_PAUSE = 60_000
/** API Gateway closes a connection that is idle for 10 minutes. */
const PING = 5 * 60_000
/** How often to ask whether an event has been lost. */
const CHECK = 3 * 60_000
/** How long an event may take after its answer. */
const EVENT = 2_000

/** What a username may have, in the order in which the service sorts, letter case aside. */
const ALPHABET = '+-.0123456789@ABCDEFGHIJKLMNOPQRSTUVWXYZ_'

/** Why the service has not done what it was asked for. `message` is for people, `code` for programs. */
export class ChatError extends Error {
  /**
   * @param {number} status the HTTP status; 0 without an answer
   * @param {string} code as docs/api.md lists them; `NO_ANSWER`; empty if API Gateway itself answered
   * @param {string} message
   * @param {{ field: string, detail: string }[]} [errors] the fields at fault
   * @param {number} [retryAfter] in seconds
   */
  constructor(status, code, message, errors = [], retryAfter = 0) {
    super(message)
    this.name = 'ChatError'
    this.status = status
    this.code = code
    this.errors = errors
    this.retryAfter = retryAfter
  }

  /** What is stored; `message` is left out without it. */
  toJSON() {
    return { ...this, message: this.message }
  }

  /** Whether the same request may succeed later. */
  get isTemporary() {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

/** A conversation, as far as it is known. Read it; `Chat` changes it. */
export class Conversation {
  /** @param {string} peer */
  constructor(peer) {
    /** @readonly */
    this.key = peer.toLowerCase()

    // The newest state that was answered or pushed, never put together from anything else: of two of them one is newer.

    /** The other user's name; one's own in notes to oneself. */
    this.peer = peer
    /** @type {State['last_message'] | undefined} */
    this.last_message = undefined
    /** How many of the peer's messages are above `read_id`. */
    this.unread = 0
    /** How far the user has read. */
    this.read_id = 0
    /** How far the peer has read. */
    this.peer_read_id = 0
    /** Whether the user blocks the peer. */
    this.blocked = false

    /** With consecutive ids. The last is the newest, unless newer ones are being fetched. @type {Message[]} */
    this.messages = []
    /** What waits to be sent, in order. @type {Outgoing[]} */
    this.outgoing = []
    /** The greatest id heard of. */
    this.heardOf = 0
    /** Up to where MarkRead has been answered. */
    this.marked = 0
    this.isEmpty = false
  }

  /** When something was last written, for sorting: what waits to be sent is the newest. */
  get time() {
    return this.outgoing.length > 0 ? '~' : (this.last_message?.time_stamp ?? '')
  }

  /** The id of the newest message that a state has told of, or 0. */
  get told() {
    return this.last_message?.id ?? 0
  }

  /** The id of the last of `messages`, or 0. */
  get newest() {
    return this.messages.at(-1)?.id ?? 0
  }

  /** Whether there may be messages before those that are here. */
  get hasOlder() {
    return this.messages.length > 0 ? this.messages[0].id > 1 : !this.isEmpty
  }

  /** What to show as not sent yet. */
  get waiting() {
    return this.outgoing.filter(({ error, isHere }) => error || !isHere)
  }

  /**
   * Takes a state, unless a newer one is known. Returns whether it is newer. `isInOrder`: it can't be late, as events can.
   * @param {State} state @param {boolean} isInOrder
   */
  learn(state, isInOrder) {
    const { last_message, read_id, peer_read_id } = state
    // Each of the three only grows, and so does their sum. Blocks are not counted.
    const steps = last_message.id + read_id + peer_read_id - this.told - this.read_id - this.peer_read_id
    if (steps > 0 || (isInOrder && steps === 0)) Object.assign(this, state)
    this.hear(last_message.id)
    return steps > 0
  }

  /** Notes that there is a message with this id. @param {number} id */
  hear(id) {
    this.heardOf = Math.max(this.heardOf, id)
  }

  /** Forgets all but what waits to be sent. */
  forget() {
    Object.assign(this, new Conversation(this.peer), { outgoing: this.outgoing })
  }

  /**
   * Takes consecutive messages, if they adjoin those that are here. Returns the newer ones.
   * @param {Message[]} page
   */
  add(page) {
    this.isEmpty = page.length === 0
    const [first, newest] = [this.messages[0]?.id ?? 0, this.newest]
    const older = page.filter(({ id }) => id < first)
    if (older.at(-1)?.id === first - 1) this.messages.unshift(...older)
    const newer = page.filter(({ id }) => id > newest)
    if (newest > 0 && newer[0]?.id !== newest + 1) return []
    this.messages.push(...newer)
    for (const { receiver, message } of newer) {
      const sent = this.outgoing.find((each) => !each.error && !each.isHere && each.message === message)
      if (sent && receiver.toLowerCase() === this.key) sent.isHere = true
    }
    return newer
  }
}

/** Creates a user. @param {Service} service @param {string} username @param {string} password */
export async function createUser(service, username, password) {
  await request(service, 'POST', '/users', { body: { username, password } })
}

/** A user's chat, from a login to the end of the session. */
export class Chat {
  #service
  /** Its end is that of all that is under way. */
  #life = new AbortController()
  #events = new EventTarget()
  /** @type {WebSocket | null} */
  #socket = null
  /** The pause before the next connection. */
  #patience = FIRST_PAUSE

  /** Up to where GetChanges has told what has changed. @type {number | null} */
  #position = null
  /** Where the inbox goes on; null at its end. @type {string | null} */
  #next = null
  /** Messages of conversations that were not loaded at first are new if they are newer than this. */
  #inboxEnd = ''
  #isSyncWanted = false
  /** How many states have come by GetChanges before their event. */
  #unannounced = 0
  /** What is done once at a time, by name. @type {Map<string, { isWanted: () => boolean, end: Promise<void> }>} */
  #loops = new Map()
  /** What ends the pauses that are being made. @type {Set<(value?: unknown) => void>} */
  #pauses = new Set()
  /** Who waits for a message to be stored. @type {Map<Outgoing, PromiseWithResolvers<Message>>} */
  #senders = new Map()
  #timers
  /** @type {Promise<void> | undefined} */
  #left

  /** Goes on with a session, as `login` gets one. @param {Service} service @param {Session} session */
  constructor(service, session) {
    this.#service = service
    /** @readonly */
    this.session = session
    /** By the peer's name in lower case. @type {Map<string, Conversation>} */
    this.conversations = new Map()
    /** Whether events come in at once. @type {Status} */
    this.status = 'offline'
    service.storage?.setItem('chat.session', JSON.stringify(session))
    for (const outgoing of this.#stored) {
      if (outgoing.error) outgoing.error = Object.assign(new ChatError(0, '', ''), outgoing.error)
      this.conversation(outgoing.receiver).outgoing.push(outgoing)
    }
    this.#connect()
    this.#timers = [
      setInterval(() => this.status === 'online' && this.#socket?.send('ping'), PING),
      setInterval(() => this.#spawn(this.#check()), CHECK),
    ]
    this.#spawn(this.sync())
    this.conversations.forEach((conversation) => this.#flush(conversation))
  }

  /**
   * Logs in. `device` is what the list of sessions calls this place.
   * @param {Service} service @param {string} username @param {string} password @param {string} [device]
   */
  static async login(service, username, password, device) {
    const session = await request(service, 'POST', '/login', { body: { username, password, device } })
    return new Chat(service, session)
  }

  /** Goes on with the session in the storage; null if there is none. @param {Service} service */
  static resume(service) {
    const session = service.storage?.getItem('chat.session')
    return session ? new Chat(service, JSON.parse(session)) : null
  }

  /** Whether the first conversations of the inbox are here. */
  get isReady() {
    return this.#position !== null
  }

  /** The conversations that have a message, or one that waits to be sent: the newest first. */
  get inbox() {
    const all = [...this.conversations.values()].filter((each) => each.last_message || each.outgoing.length > 0)
    return all.sort((one, other) => (one.time < other.time ? 1 : -1))
  }

  /** Whether `loadConversations` has more to load. */
  get hasMoreConversations() {
    return this.#next !== null
  }

  /**
   * Calls `listener` at each event of a type. Returns a function that ends that.
   * @template {keyof Events} Type @param {Type} type @param {(detail: Events[Type]) => void} listener
   */
  on(type, listener) {
    const handle = (/** @type {Event} */ event) => listener(/** @type {CustomEvent} */ (event).detail)
    this.#events.addEventListener(type, handle)
    return () => this.#events.removeEventListener(type, handle)
  }

  /** Tries at once what waits to be tried again: for when the network or the user is back. */
  wake() {
    this.#endPauses()
    if (!this.#life.signal.aborted) this.#spawn(this.#check())
  }

  /** Stops, without ending the session: `resume` goes on with it. */
  close() {
    this.#life.abort(new ChatError(0, 'CLOSED', 'The chat has been closed.'))
    this.#endPauses()
    this.#timers.forEach(clearInterval)
    this.#senders.forEach(({ reject }) => reject(this.#life.signal.reason))
    this.#drop()
    this.#setStatus('offline')
  }

  // Conversations

  /** The conversation with a user. @param {string} peer */
  conversation(peer) {
    const known = this.conversations.get(peer.toLowerCase())
    if (known) return known
    const conversation = new Conversation(peer)
    this.conversations.set(conversation.key, conversation)
    return conversation
  }

  /** Loads the next conversations of the inbox. */
  loadConversations() {
    const before = this.#next
    const isWanted = () => before !== null && before === this.#next
    return this.#loop('inbox', isWanted, async () => {
      const query = `before=${encodeURIComponent(this.#next ?? '')}`
      const page = await this.#persist('GET', `/conversations?${query}`)
      this.#learn(page.conversations, 'inbox')
      // What has moved up meanwhile is in no page, and not new either.
      if (page.next === null) await this.sync()
      this.#next = page.next
    })
  }

  /** Loads messages before those that are here; the newest if none is. @param {Conversation} conversation */
  loadOlder(conversation) {
    const first = conversation.messages[0]
    const isWanted = () => conversation.hasOlder && conversation.messages[0] === first
    return this.#loop(`older ${conversation.key}`, isWanted, async () => {
      const page = await this.#page(conversation, { before: conversation.messages[0]?.id })
      conversation.add(page.messages)
      this.#emit('conversation', conversation)
    })
  }

  /**
   * Sends a message until it is stored, exactly once and after those sent before, and returns it as stored. Fails if it is
   * refused, or if the session ends; then it stays in the storage for the next one.
   * @param {string} receiver @param {string} message @returns {Promise<Message>}
   */
  send(receiver, message) {
    if (this.#life.signal.aborted) return Promise.reject(this.#life.signal.reason)
    const outgoing = { key: randomKey(), receiver, message, error: null, isHere: false }
    this.#store(outgoing)
    const conversation = this.conversation(receiver)
    conversation.outgoing.push(outgoing)
    const sender = Promise.withResolvers()
    // Who does not wait sees it in `outgoing`.
    sender.promise.catch(() => {})
    this.#senders.set(outgoing, sender)
    this.#emit('conversation', conversation)
    this.#flush(conversation)
    return sender.promise
  }

  /** Sends a refused message again. @param {Outgoing} outgoing */
  resend(outgoing) {
    outgoing.error = null
    this.#store(outgoing)
    const conversation = this.conversation(outgoing.receiver)
    this.#emit('conversation', conversation)
    this.#flush(conversation)
  }

  /** Forgets a refused message. @param {Outgoing} outgoing */
  discard(outgoing) {
    const conversation = this.conversation(outgoing.receiver)
    conversation.outgoing = conversation.outgoing.filter((other) => other !== outgoing)
    this.#store(outgoing, false)
    this.#emit('conversation', conversation)
  }

  /** Notes that the user has read all messages that are here. @param {Conversation} conversation */
  markRead(conversation) {
    const isWanted = () => conversation.newest > Math.max(conversation.marked, conversation.read_id)
    return this.#loop(`read ${conversation.key}`, isWanted, async () => {
      const body = { sender: conversation.peer, receiver: this.session.username, id: conversation.newest }
      const { read_id } = await this.#persist('POST', '/messages/read', body)
      conversation.marked = read_id
      this.#expect(() => conversation.read_id >= read_id)
    })
  }

  // Users and accounts

  /**
   * The first users whose names begin with `prefix`, in alphabetical order.
   * @param {string} prefix @returns {Promise<string[]>}
   */
  async findUsers(prefix, limit = 20) {
    // No name begins so, and the service refuses what can't be one.
    if (!/^([a-z\d][\w.@+-]{0,63})?$/i.test(prefix)) return []
    const after = nameBefore(prefix)
    const query = after ? `limit=${limit}&after=${encodeURIComponent(after)}` : `limit=${limit}`
    const { users } = await this.#call('GET', `/users?${query}`)
    /** @type {string[]} */
    const names = users.map((/** @type {Session} */ { username }) => username)
    return names.filter((name) => name.toLowerCase().startsWith(prefix.toLowerCase()))
  }

  /** Ends the session; with `everywhere`, all sessions of the user. */
  async logout(everywhere = false) {
    await this.#leave('/logout', { everywhere })
  }

  /** Changes the password, and ends all other sessions. @param {string} password @param {string} newPassword */
  async changePassword(password, newPassword) {
    await this.#post('/password', { password, new_password: newPassword })
  }

  /** Where the user is logged in, the newest login first. @returns {Promise<Device[]>} */
  async sessions() {
    return (await this.#call('GET', '/sessions')).sessions
  }

  /** Ends a session. @param {Device} device */
  async endSession({ id, current }) {
    if (current) await this.#leave('/sessions/end', { id })
    else await this.#post('/sessions/end', { id })
  }

  /** Makes the request that ends the session. @param {string} path @param {object} body */
  async #leave(path, body) {
    const { username, token } = this.session
    const left = request(this.#service, 'POST', path, { body: { username, ...body }, token })
    this.#left = left.then(() => this.#end(null)).catch(() => {})
    await left
  }

  /** Asks for something as the user. @param {string} path @param {object} body */
  async #post(path, body) {
    await this.#call('POST', path, { username: this.session.username, ...body })
  }

  /** Blocks a user, or ends that. @param {string} peer @param {boolean} blocked */
  async setBlock(peer, blocked) {
    await this.#post('/blocks', { peer, blocked })
    const conversation = this.conversation(peer)
    conversation.blocked = blocked
    this.#emit('conversation', conversation)
    // From now on no answer says otherwise.
    await this.sync()
  }

  /** Deletes the user, for ever. @param {string} password */
  async deleteUser(password) {
    await this.#leave('/users/delete', { password })
  }

  // Staying in sync

  /** Asks for what has changed: by itself after each connect and every few minutes. */
  sync() {
    this.#isSyncWanted = true
    const isWanted = () => this.#isSyncWanted
    return this.#loop('sync', isWanted, () => {
      this.#isSyncWanted = false
      return this.#position === null ? this.#askForInbox() : this.#askForChanges()
    })
  }

  async #askForInbox() {
    const page = await this.#persist('GET', '/conversations')
    this.#learn(page.conversations, 'inbox')
    this.#position = page.position
    this.#next = page.next
    this.#inboxEnd = page.conversations.at(-1)?.last_message.time_stamp ?? ''
  }

  async #askForChanges() {
    try {
      const page = await this.#persist('GET', `/changes?after=${this.#position}&limit=200`)
      this.#position = page.position
      this.#isSyncWanted ||= page.more
      this.#learn(page.conversations, 'changes')
    } catch (error) {
      if (!(error instanceof ChatError && error.code === 'UNKNOWN_POSITION')) throw error
      // The database has been restored from a backup.
      this.#position = null
      this.#isSyncWanted = true
      this.conversations.forEach((conversation) => conversation.forget())
    }
  }

  /** Whether the inbox is here up to its end: a conversation that is not, is new. */
  get #isWhole() {
    return this.isReady && !this.hasMoreConversations
  }

  /** Syncs, and connects anew if that brings what events should have: a connection can die without a sign. */
  async #check() {
    const [socket, unannounced] = [this.#socket, this.#unannounced]
    const wasOnline = this.status === 'online'
    await this.sync()
    if (wasOnline && socket === this.#socket && this.#unannounced > unannounced) this.#connect()
  }

  /** Checks whether an event comes that an answer has announced. @param {() => boolean} hasCome */
  #expect(hasCome) {
    const check = async () => {
      if (this.status === 'online') await this.#pause(EVENT)
      if (!hasCome()) await this.#check()
    }
    this.#spawn(check())
  }

  /** Takes states. @param {State[]} states @param {'inbox' | 'changes' | 'event'} source */
  #learn(states, source) {
    for (const state of states) {
      const conversation = this.conversation(state.peer)
      // Further pages of the inbox are not asked for in turn with what has changed.
      const isNewer = conversation.learn(state, source === 'changes' || !this.isReady)
      if (isNewer && source === 'changes') this.#unannounced += 1
      const { message } = state.last_message
      if (message !== undefined) this.#add(conversation, [{ ...state.last_message, message }], source === 'inbox')
      this.#emit('conversation', conversation)
      this.#fetchNewer(conversation)
    }
  }

  /** @param {Conversation} conversation @param {Message[]} messages */
  #add(conversation, messages, isInbox = false) {
    // Of a new conversation the first comes first.
    if (this.#isWhole && conversation.newest === 0 && messages[0].id > 1) return
    // In a conversation that was not loaded, an old message is told of when somebody reads it.
    const isRecent = this.#isWhole || messages[0].time_stamp > this.#inboxEnd
    const isNews = conversation.newest > 0 || (isRecent && !isInbox)
    const newer = conversation.add(messages)
    if (isNews) newer.forEach((message) => this.#emit('message', message))
  }

  /** Fetches the messages that are missing, if there are any. @param {Conversation} conversation */
  #fetchNewer(conversation) {
    const isWanted = () => conversation.heardOf > conversation.newest
    const loop = this.#loop(`newer ${conversation.key}`, isWanted, async () => {
      // Of a conversation of which nothing is here, the newest one, unless it is new.
      const after = conversation.newest || (this.#isWhole ? 0 : conversation.heardOf - 1)
      const { messages } = await this.#page(conversation, { after, limit: 200 })
      if (messages.length === 0) throw new Error(`no messages of ${conversation.key} after ${after}`)
      this.#add(conversation, messages)
      this.#emit('conversation', conversation)
    })
    this.#spawn(loop)
  }

  /** @param {Conversation} conversation @param {{ before?: number, after?: number, limit?: number }} cursor */
  #page({ peer }, cursor) {
    const body = { sender: this.session.username, receiver: peer, ...cursor }
    return this.#persist('POST', '/messages/query', body)
  }

  /** Sends what waits, one message after the other. @param {Conversation} conversation */
  #flush(conversation) {
    const next = () => conversation.outgoing.find(({ error }) => !error)
    const isWanted = () => next() !== undefined
    const loop = this.#loop(`send ${conversation.key}`, isWanted, async () => {
      await this.#sendNow(conversation, /** @type {Outgoing} */ (next()))
      this.#emit('conversation', conversation)
    })
    this.#spawn(loop)
  }

  /** @param {Conversation} conversation @param {Outgoing} outgoing */
  async #sendNow(conversation, outgoing) {
    const { key, receiver, message } = outgoing
    const body = { sender: this.session.username, receiver, message }
    const sender = this.#senders.get(outgoing)
    this.#senders.delete(outgoing)
    try {
      const stored = await this.#persist('POST', '/messages', body, { 'Idempotency-Key': key })
      this.#add(conversation, [stored])
      this.discard(outgoing)
      conversation.hear(stored.id)
      this.#fetchNewer(conversation)
      this.#expect(() => conversation.told >= stored.id)
      sender?.resolve(stored)
    } catch (error) {
      sender?.reject(error)
      if (this.#life.signal.aborted || !(error instanceof ChatError)) throw error
      outgoing.error = error
      this.#store(outgoing)
    }
  }

  // The WebSocket

  /** Opens a connection, in place of the one that is open. */
  #connect() {
    this.#drop()
    const { webSocketUrl, WebSocket = globalThis.WebSocket } = this.#service
    const socket = new WebSocket(webSocketUrl, ['chat.v1', this.session.token])
    let opened = Infinity
    socket.onopen = () => {
      opened = Date.now()
      this.#setStatus('online')
      // What waits to be tried again can be.
      this.#endPauses()
      this.#spawn(this.sync())
    }
    socket.onmessage = ({ data }) => {
      const { conversation } = JSON.parse(data)
      // Without one it is a message of API Gateway's own.
      if (conversation) this.#learn([conversation], 'event')
    }
    socket.onclose = () => {
      this.#socket = null
      this.#setStatus('offline')
      const hasLasted = Date.now() - opened > LONGEST_PAUSE
      this.#patience = hasLasted ? FIRST_PAUSE : Math.min(2 * this.#patience, LONGEST_PAUSE)
      // It tells whether the session is over, and stands in for events.
      this.#spawn(this.sync())
      this.#spawn(this.#pause(jitter(this.#patience)).then(() => this.#connect()))
    }
    this.#socket = socket
    this.#setStatus('connecting')
    // Browsers wait for minutes.
    const giveUp = () => socket.readyState === socket.CONNECTING && socket.close()
    this.#spawn(this.#pause(REQUEST).then(giveUp))
  }

  /** Takes leave of the connection, whose end is then no news. */
  #drop() {
    const socket = this.#socket
    this.#socket = null
    if (!socket) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
  }

  /** Ends the chat with its session. @param {ChatError | null} error */
  #end(error) {
    if (this.#life.signal.aborted) return
    this.close()
    this.#service.storage?.removeItem('chat.session')
    this.#emit('end', error)
  }

  /** Where what waits to be sent is stored. */
  get #outbox() {
    return `chat.outgoing.${this.session.username}`
  }

  /** This may be another client's too, as in another tab. @returns {Outgoing[]} */
  get #stored() {
    return JSON.parse(this.#service.storage?.getItem(this.#outbox) ?? '[]')
  }

  /** Stores a message, or no longer. @param {Outgoing} outgoing */
  #store(outgoing, isWaiting = true) {
    const stored = this.#stored.filter(({ key }) => key !== outgoing.key)
    if (isWaiting) stored.push(outgoing)
    if (stored.length > 0) this.#service.storage?.setItem(this.#outbox, JSON.stringify(stored))
    else this.#service.storage?.removeItem(this.#outbox)
  }

  /** @template {keyof Events} Type @param {Type} type @param {Events[Type]} detail */
  #emit(type, detail) {
    this.#events.dispatchEvent(new CustomEvent(type, { detail }))
  }

  /** @param {Status} status */
  #setStatus(status) {
    if (status === this.status) return
    this.status = status
    this.#emit('status', status)
  }

  /**
   * A request in this session.
   * @param {string} method @param {string} path @param {object} [body] @param {Record<string, string>} [headers]
   */
  async #call(method, path, body, headers) {
    const { token } = this.session
    const { signal } = this.#life
    try {
      return await request(this.#service, method, path, { body, headers, token, signal })
    } catch (error) {
      if (error instanceof ChatError && error.code === 'INVALID_TOKEN') {
        // It can be known here first that the user has left.
        await this.#left
        this.#end(error)
      }
      throw error
    }
  }

  /**
   * A request that is repeated as long as it may succeed later.
   * @param {[method: string, path: string, body?: object, headers?: Record<string, string>]} request
   */
  async #persist(...request) {
    for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      try {
        return await this.#call(...request)
      } catch (error) {
        if (!(error instanceof ChatError && error.isTemporary)) throw error
        await this.#pause(Math.max(1_000 * error.retryAfter, jitter(pause)))
      }
    }
  }

  /** Waits, until `wake` at most. Fails at the end of the session. @param {number} time */
  async #pause(time) {
    this.#life.signal.throwIfAborted()
    const { promise, resolve } = Promise.withResolvers()
    const timer = setTimeout(resolve, time)
    this.#pauses.add(resolve)
    await promise
    clearTimeout(timer)
    this.#pauses.delete(resolve)
    this.#life.signal.throwIfAborted()
  }

  #endPauses() {
    this.#pauses.forEach((end) => end())
  }

  /**
   * Takes steps while they are wanted. There is one loop of a name at a time: who asks for another gets that one, which then
   * looks whether a step is wanted by who has asked last.
   * @param {string} name @param {() => boolean} isWanted @param {() => Promise<void>} step @returns {Promise<void>}
   */
  #loop(name, isWanted, step) {
    const running = this.#loops.get(name)
    if (running) {
      running.isWanted = isWanted
      return running.end
    }
    const loop = { isWanted, end: Promise.resolve() }
    this.#loops.set(name, loop)
    const run = async () => {
      try {
        while (loop.isWanted()) await step()
      } finally {
        // At once, or somebody could get a loop that does not look again.
        this.#loops.delete(name)
      }
    }
    loop.end = run()
    // A failure that nobody waits for would end Node.js.
    loop.end.catch(() => {})
    return loop.end
  }

  /** Lets something be done that nobody waits for. @param {Promise<unknown>} work */
  #spawn(work) {
    work.catch((error) => {
      if (!this.#life.signal.aborted) this.#emit('error', error)
    })
  }
}

/**
 * Makes a request, and returns the body of the answer.
 * @param {Service} service @param {string} method @param {string} path
 * @param {{ body?: object, headers?: Record<string, string>, token?: string, signal?: AbortSignal }} options
 * @returns {Promise<any>}
 */
async function request({ url, fetch = globalThis.fetch }, method, path, { body, headers, token, signal }) {
  const timeout = AbortSignal.timeout(REQUEST)
  /** @type {Response} */
  let response
  let answer
  try {
    response = await fetch(url.replace(/\/$/, '') + path, {
      method,
      headers: {
        ...(token && { Authorization: `Bearer ${token}` }),
        ...(body && { 'Content-Type': 'application/json' }),
        ...headers,
      },
      body: body && JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    })
    answer = await response.json()
  } catch {
    signal?.throwIfAborted()
    throw new ChatError(0, 'NO_ANSWER', 'The service can’t be reached.')
  }
  signal?.throwIfAborted()
  if (response.ok) return answer
  const { code = '', detail, message, errors } = answer
  // A proxy's may be a date.
  const retryAfter = Number(response.headers.get('Retry-After')) || 0
  throw new ChatError(response.status, code, detail ?? message, errors, retryAfter)
}

/** A valid name just before all with this prefix, in the service's order; or ''. @param {string} prefix @returns {string} */
function nameBefore(prefix) {
  const last = ALPHABET.indexOf(prefix.slice(-1).toUpperCase())
  const lowest = prefix.length === 1 ? ALPHABET.indexOf('0') : 0
  if (last > lowest) return (prefix.slice(0, -1) + ALPHABET[last - 1]).padEnd(64, '_')
  // Nothing comes between the two; but no name has fewer than three characters.
  const shorter = prefix.slice(0, -1)
  return shorter.length >= 3 ? shorter : shorter && nameBefore(shorter)
}

/** A random key, as it also works on pages that did not come by HTTPS. */
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Not all clients at the same moment. @param {number} time */
function jitter(time) {
  return time * (0.5 + Math.random() / 2)
}
