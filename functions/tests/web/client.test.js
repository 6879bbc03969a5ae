import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, before, describe, mock, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Chat, ChatError } from '../../web/client.js'
import { Network, randomNumbers } from './faults.js'
import { Service } from './service.js'

/**
 * @import { Message, Service as ChatService } from '../../web/client.js'
 * @import { TestContext } from 'node:test'
 * @import { User } from './service.js'
 */

/** In milliseconds. */
const PATIENCE = 60_000

describe('the client', { timeout: 10 * PATIENCE }, () => {
  /** @type {Service} */
  let service
  before(async () => (service = await Service.start()))
  after(() => service?.stop())

  let users = 0

  /**
   * Logs a user in by way of `network`.
   *
   * @param {TestContext} context
   * @param {User} user
   */
  const logIn = async (context, user, { network = new Network(), storage = newStorage() } = {}) => {
    const place = { url: service.url, webSocketUrl: service.webSocketUrl, storage, fetch: network.fetch }
    const options = { ...place, WebSocket: network.WebSocket }
    const chat = await Chat.login(options, user.username, user.password, 'the tests')
    context.after(() => chat.close())
    /** @type {Message[]} */
    const news = []
    chat.on('message', (message) => news.push(message))
    chat.on('error', (error) => assert.fail(/** @type {Error} */ (error)))
    chat.on('conversation', ({ messages }) => {
      const first = messages[0]?.id
      messages.forEach(({ id }, index) => assert.equal(id, first + index, 'ids without a gap'))
    })
    return { ...user, user, chat, network, storage, options, news }
  }

  /**
   * A new user who is logged in.
   *
   * @param {TestContext} context
   * @param {Parameters<typeof logIn>[2]} [place]
   */
  const newUser = async (context, place) => logIn(context, await service.createUser(`user-${(users += 1)}`), place)

  /**
   * A user who has conversations with two others, and who is logged in with only the newest one loaded.
   *
   * @param {TestContext} context
   */
  const withHalfAnInbox = async (context) => {
    const [anna, bert, carl] = [await newUser(context), await newUser(context), await newUser(context)]
    anna.chat.close()
    for (const text of ['one', 'two', 'three']) await service.send(bert.user, anna.username, text)
    await service.send(carl.user, anna.username, 'newer')
    const network = new Network()
    network.next = (...login) => {
      network.next = (url, inbox) => fetch(`${url}?limit=1`, inbox)
      return fetch(...login)
    }
    const device = await logIn(context, anna.user, { network })
    await online(device.chat)
    assert.equal(device.chat.inbox.length, 1)
    return { anna: device, bert, carl, old: device.chat.conversation(bert.username) }
  }

  test('tells both sides of a message at once, and of how far it has been read', async (context) => {
    const [anna, bert] = [await newUser(context), await newUser(context)]
    await online(anna.chat, bert.chat)
    const message = await anna.chat.send(bert.username.toUpperCase(), 'Hello')
    assert.deepEqual([message.id, message.sender, message.receiver], [1, anna.username, bert.username])
    await until(() => bert.news.length === 1)
    assert.deepEqual(bert.news, [message])
    assert.deepEqual(anna.news, [message])

    const [hers, his] = [anna.chat.conversation(bert.username), bert.chat.conversation(anna.username)]
    assert.deepEqual([his.unread, his.read_id, his.messages, his.last_message], [1, 0, [message], message])
    assert.equal(hers.peer, bert.username)
    await bert.chat.markRead(his)
    await until(() => his.unread === 0 && hers.peer_read_id === 1)
    assert.deepEqual(anna.chat.inbox, [hers])

    anna.chat.wake()
    await anna.chat.sync()
    let asked = ''
    anna.network.next = (url, request) => {
      asked = String(url)
      return fetch(url, request)
    }
    await anna.chat.sync()
    assert.match(asked, /after=[1-9]/)
    const connections = [anna, bert].map(({ network }) => network.sockets.length)
    assert.deepEqual(connections, [1, 1], 'nothing is wrong with them')
  })

  test('stores what is sent once and in order, however often request and answer are lost', async (context) => {
    const network = new Network(randomNumbers(1))
    const [anna, bert] = [await newUser(context, { network }), await newUser(context)]
    mockPauses(context, (time) => time / 10)
    network.requestLost = network.answerLost = 0.3
    const texts = Array.from({ length: 8 }, (_, index) => `message ${index}`)
    const sent = await Promise.all(texts.map((text) => anna.chat.send(bert.username, text)))
    assert.ok(network.requests > 12, 'some were repeated')
    assert.deepEqual(await service.history(anna.user, bert.username), sent)
    assert.deepEqual(textsOf(sent), texts)
    assert.deepEqual(anna.chat.conversation(bert.username).outgoing, [])
  })

  test('shows a message that is on its way until it is there, and not twice', async (context) => {
    const network = new Network()
    const [anna, bert] = [await newUser(context, { network }), await newUser(context)]
    await online(anna.chat)
    const conversation = anna.chat.conversation(bert.username)
    // The event comes, and the answer does not.
    network.answerLost = 1
    const sent = [anna.chat.send(bert.username, 'the same'), anna.chat.send(bert.username, 'the same')]
    assert.deepEqual(textsOf(conversation.waiting), ['the same', 'the same'])
    await until(() => conversation.messages.length === 1)
    assert.deepEqual(textsOf(conversation.waiting), ['the same'])
    await service.send(bert.user, anna.username, 'the same')
    await until(() => conversation.messages.length === 2)
    assert.deepEqual(textsOf(conversation.waiting), ['the same'])
    network.heal()
    anna.chat.wake()
    await Promise.all(sent)
    assert.deepEqual(conversation.waiting, [])
    assert.deepEqual(textsOf(conversation.messages), ['the same', 'the same', 'the same'])
  })

  test('waits as long as Retry-After asks for', async (context) => {
    const { chat, username, network } = await newUser(context)
    await online(chat)
    network.next = async () => {
      return new Response('{"code": "UNAVAILABLE"}', { status: 503, headers: { 'Retry-After': '2' } })
    }
    const start = Date.now()
    await chat.send(username, 'a note')
    const time = Date.now() - start
    assert.ok(time >= 2_000 && time < 4_000, `${time} ms`)
  })

  test('keeps a refused message with the reason, to be sent again or forgotten', async (context) => {
    const { chat } = await newUser(context)
    const peer = `user-${(users += 1)}`
    const conversation = chat.conversation(peer)
    const refused = chat.send(peer, 'too early')
    const another = chat.send(peer, 'never')
    await assert.rejects(refused, (error) => error instanceof ChatError && error.code === 'UNKNOWN_RECEIVER')
    await assert.rejects(another, {
      status: 404,
      errors: [{ field: 'receiver', detail: 'is not the name of a user' }],
    })
    const [first, second] = conversation.outgoing
    assert.equal(first.error?.code, 'UNKNOWN_RECEIVER')
    assert.deepEqual(conversation.waiting, [first, second])

    await service.createUser(peer)
    chat.discard(second)
    chat.resend(first)
    await until(() => conversation.messages.length === 1)
    assert.deepEqual([conversation.outgoing, textsOf(conversation.messages)], [[], ['too early']])
  })

  test('notices by the ids that an event was lost, and fetches what it told of', async (context) => {
    const [anna, bert] = [await newUser(context), await newUser(context)]
    await online(bert.chat)
    bert.network.eventLost = 1
    for (let index = 1; index <= 60; index += 1) await service.send(anna.user, bert.username, `lost ${index}`)
    assert.deepEqual(bert.news, [])
    bert.network.heal()
    await service.send(anna.user, bert.username, 'heard')
    await until(() => bert.news.length === 61)
    const conversation = bert.chat.conversation(anna.username)
    assert.deepEqual(bert.news, conversation.messages)
    assert.deepEqual(conversation.messages, await service.history(anna.user, bert.username))
    assert.equal(conversation.hasOlder, false)

    bert.network.eventLost = 1
    for (let index = 1; index <= 3; index += 1) await service.send(anna.user, bert.username, `lost again ${index}`)
    bert.network.heal()
    await service.send(anna.user, bert.username, 'heard again')
    await until(() => bert.news.length === 65)
    assert.deepEqual(conversation.messages, await service.history(anna.user, bert.username))
    await until(() => conversation.unread === 65)
  })

  test('takes no event for news that comes late or again', async (context) => {
    const network = new Network(randomNumbers(2))
    const [anna, bert] = [await newUser(context), await newUser(context, { network })]
    await online(bert.chat)
    Object.assign(network, { eventTwice: 1, eventLate: 0.5, lateBy: 500 })
    const conversation = bert.chat.conversation(anna.username)
    for (let index = 1; index <= 20; index += 1) {
      await service.send(anna.user, bert.username, `message ${index}`)
      if (index % 5 === 0) bert.chat.markRead(conversation)
    }
    await sleep(network.lateBy)
    await until(() => bert.news.length === 20)
    assert.deepEqual(bert.news, await service.history(anna.user, bert.username))
    await bert.chat.markRead(conversation)
    await until(() => conversation.unread === 0)
    await sleep(network.lateBy)
    assert.deepEqual([conversation.unread, conversation.read_id], [0, 20])
  })

  test('finds out by its own messages that a connection is dead, and opens another', async (context) => {
    const [anna, bert] = [await newUser(context), await newUser(context)]
    await online(anna.chat)
    anna.network.eventLost = 1
    await service.send(bert.user, anna.username, 'unheard')
    await anna.chat.send(bert.username, 'is anybody there?')
    await until(() => anna.network.sockets.length === 2)
    anna.network.heal()
    await online(anna.chat)
    assert.deepEqual(textsOf(anna.chat.conversation(bert.username).messages), ['unheard', 'is anybody there?'])
    await service.send(bert.user, anna.username, 'heard')
    await until(() => anna.news.length === 3)
  })

  test('asks every three minutes whether an event was lost, and pings every five', async (context) => {
    mock.timers.enable({ apis: ['setInterval'] })
    context.after(() => mock.timers.reset())
    const [anna, bert] = [await newUser(context), await newUser(context)]
    await online(bert.chat)
    bert.network.eventLost = 1
    await service.send(anna.user, bert.username, 'lost')
    mock.timers.tick(3 * 60_000)
    await until(() => bert.news.length === 1)
    await online(bert.chat)
    mock.timers.tick(2 * 60_000)
    await until(() => bert.network.said.length === 1)
    assert.deepEqual(bert.network.said, ['ping'])
  })

  test('sends after a new start what had not been stored when it ended', async (context) => {
    const [anna, bert] = [await newUser(context), await newUser(context)]
    anna.network.answerLost = 1
    const first = anna.chat.send(bert.username, 'stored, but unheard')
    const second = anna.chat.send(bert.username, 'not sent')
    const unheard = async () => (await service.history(anna.user, bert.username)).length === 1
    await until(unheard)
    anna.chat.close()
    await Promise.all([first, second].map((send) => assert.rejects(send, { code: 'CLOSED' })))
    await until(() => anna.network.sockets.every(({ readyState }) => readyState >= WebSocket.CLOSING))

    anna.network.heal()
    const chat = resume(context, anna.options)
    const conversation = chat.conversation(bert.username)
    await until(() => conversation.outgoing.length === 0 && conversation.messages.length === 2)
    assert.equal(anna.storage.getItem(`chat.outgoing.${anna.username}`), null)
    assert.deepEqual(textsOf(await service.history(anna.user, bert.username)), ['stored, but unheard', 'not sent'])
  })

  test('ends with its session, and keeps what is not sent for the next one', async (context) => {
    const [anna, bert] = [await newUser(context), await newUser(context)]
    await online(anna.chat)
    /** @type {(ChatError | null)[]} */
    const ends = []
    anna.chat.on('end', (error) => ends.push(error))
    anna.network.requestLost = 1
    const send = anna.chat.send(bert.username, 'for later')
    await service.call('/logout', { token: anna.token, body: { username: anna.username, everywhere: true } })
    anna.network.heal()
    anna.chat.wake()
    await assert.rejects(send)
    assert.equal(ends.length, 1)
    assert.equal(ends[0]?.code, 'INVALID_TOKEN')
    assert.equal(Chat.resume(anna.options), null)

    const chat = await Chat.login(anna.options, anna.username, anna.password)
    context.after(() => chat.close())
    await until(() => chat.conversation(bert.username).messages.length === 1)
    assert.deepEqual(textsOf(await service.history(bert.user, anna.username)), ['for later'])
    await chat.logout()
    assert.equal(Chat.resume(anna.options), null)
  })

  test('asks on while the service says that more has changed', async (context) => {
    const anna = await newUser(context)
    await online(anna.chat)
    anna.network.eventLost = 1
    for (let index = 0; index < 5; index += 1) {
      const peer = await service.createUser(`user-${(users += 1)}`)
      await service.send(peer, anna.username, 'Hello')
    }
    anna.network.next = (url, request) => fetch(String(url).replace('limit=200', 'limit=2'), request)
    await anna.chat.sync()
    assert.equal(anna.chat.inbox.length, 5)
  })

  test('begins again if the service does not know its position, as after a restore', async (context) => {
    const [anna, bert] = [await newUser(context), await newUser(context)]
    await online(bert.chat)
    await service.send(anna.user, bert.username, 'before')
    await until(() => bert.news.length === 1)
    let status
    bert.network.next = async (url, request) => {
      const answer = await fetch(String(url).replace(/after=\d+/, 'after=9007199254740991'), request)
      status = answer.status
      return answer
    }
    await bert.chat.sync()
    assert.equal(status, 410)
    assert.deepEqual(textsOf(bert.chat.conversation(anna.username).messages), ['before'])
    await service.send(anna.user, bert.username, 'after')
    await until(() => bert.news.length === 2)
  })

  test('loads an inbox of any size, and a conversation back to its first message', async (context) => {
    const anna = await newUser(context)
    const peers = []
    for (let index = 0; index < 60; index += 1) peers.push(await service.createUser(`peer-${users}-${index}`))
    for (const peer of peers) await service.send(peer, anna.username, `from ${peer.username}`)
    const chat = await Chat.login(anna.options, anna.username, anna.password)
    context.after(() => chat.close())
    await until(() => chat.isReady)
    assert.deepEqual([chat.inbox.length, chat.hasMoreConversations], [50, true])
    await Promise.all([chat.loadConversations(), chat.loadConversations()])
    assert.deepEqual([chat.inbox.length, chat.hasMoreConversations], [60, false])
    assert.deepEqual(
      chat.inbox.map(({ peer }) => peer),
      peers.map(({ username }) => username).reverse(),
    )
    const notes = chat.conversation(anna.username)
    for (let index = 0; index < 120; index += 1) await service.send(anna.user, anna.username, `note ${index}`)
    while (notes.hasOlder) await chat.loadOlder(notes)
    assert.deepEqual(notes.messages, await service.history(anna.user, anna.username))
    assert.deepEqual([notes.unread, notes.messages.length], [0, 120])
  })

  test('finds users by the beginning of their names, whatever character that ends with', async (context) => {
    const { chat } = await newUser(context)
    const names = ['0lga', 'Xa+b', 'xa+', 'xa-', 'Xa.', 'xa0', 'xa9', 'xa@x', 'XAa', 'xaz', 'xa_', 'xb_', 'x__', 'ya+']
    for (const name of names) await service.createUser(name)
    for (const prefix of ['xa b', 'xä', '.a', 'x'.repeat(65)]) assert.deepEqual(await chat.findUsers(prefix), [])
    for (const prefix of ['0', 'x', 'X', 'xa', 'xA+', 'xa-', 'xa.', 'xa0', 'xa@', 'xa_', 'xaa', 'xa+b', 'nobody']) {
      const expected = names.filter((name) => name.toLowerCase().startsWith(prefix.toLowerCase()))
      assert.deepEqual((await chat.findUsers(prefix)).sort(), expected.sort(), prefix)
    }
    assert.ok((await chat.findUsers('')).length > 10)
  })

  test('manages devices, blocks, the password and the account', async (context) => {
    const [anna, bert] = [await newUser(context), await newUser(context)]
    await anna.chat.send(bert.username, 'Hello')
    const other = await Chat.login({ ...anna.options, storage: newStorage() }, anna.username, anna.password, 'other')
    await online(other)
    const ended = new Promise((resolve) => other.on('end', resolve))
    const device = (await anna.chat.sessions()).find(({ device }) => device === 'other')
    assert.ok(device && !device.current)
    await anna.chat.setBlock(bert.username, true)
    await other.sync()
    assert.equal(anna.chat.conversation(bert.username).blocked, true)
    assert.equal(other.conversation(bert.username).blocked, true)
    await anna.chat.endSession(device)
    await ended
    await assert.rejects(bert.chat.send(anna.username, 'Hm'), { code: 'BLOCKED' })
    await anna.chat.setBlock(bert.username, false)
    bert.chat.resend(bert.chat.conversation(anna.username).outgoing[0])
    await until(() => anna.news.length === 2)
    assert.equal(anna.chat.conversation(bert.username).blocked, false)

    const third = await Chat.login(anna.options, anna.username, anna.password)
    const [current] = (await third.sessions()).filter(({ current }) => current)
    await third.endSession(current)
    await assert.rejects(third.sync(), { code: 'CLOSED' })

    await assert.rejects(anna.chat.changePassword('not the password', 'another password'), { status: 401 })
    await anna.chat.changePassword(anna.password, 'another password')
    await assert.rejects(anna.chat.deleteUser(anna.password), { code: 'INVALID_CREDENTIALS' })
    await anna.chat.deleteUser('another password')
    await assert.rejects(Chat.login(anna.options, anna.username, 'another password'), { status: 401 })
  })

  test('pauses after a Retry-After that is a date', async (context) => {
    const { chat, username, network } = await newUser(context)
    await online(chat)
    const { requests } = network
    const headers = { 'Retry-After': 'Wed, 21 Oct 2026 07:28:00 GMT' }
    const answer = async () => {
      network.next = answer
      return new Response('{"message": "busy"}', { status: 503, headers })
    }
    network.next = answer
    const send = chat.send(username, 'a note')
    await sleep(200)
    network.next = undefined
    assert.equal(network.requests, requests + 1)
    await send
  })

  test('logs out without an error, even if the connection ends before the answer comes', async (context) => {
    const { chat, network } = await newUser(context)
    await online(chat)
    /** @type {(ChatError | null)[]} */
    const ends = []
    chat.on('end', (error) => ends.push(error))
    setTimeout(network.hold(), 300)
    await chat.logout()
    assert.deepEqual(ends, [null])
  })

  test('takes an old message for no news when somebody reads it', async (context) => {
    const { anna, bert, carl, old } = await withHalfAnInbox(context)
    await bert.chat.markRead(bert.chat.conversation(anna.username))
    await until(() => old.peer_read_id === 3)
    assert.deepEqual([textsOf(old.messages), anna.news], [['three'], []])
    await service.send(bert.user, anna.username, 'four')
    await until(() => anna.news.length === 1)
    assert.deepEqual(textsOf(anna.news), ['four'])
    anna.chat.conversation('nobody')
    const peers = anna.chat.inbox.map(({ peer }) => peer)
    assert.deepEqual(peers, [bert.username, carl.username])
  })

  test('tells of a message that the inbox brings instead of its event', async (context) => {
    const { anna, bert } = await withHalfAnInbox(context)
    await service.send(bert.user, anna.username, 'four')
    await until(() => anna.news.length === 1)
    anna.network.eventLost = 1
    await service.send(bert.user, anna.username, 'five')
    anna.network.next = (url, request) => fetch(String(url).replace(/before=.*/, 'limit=2'), request)
    await anna.chat.loadConversations()
    await anna.chat.sync()
    assert.deepEqual(textsOf(anna.news), ['four', 'five'])
  })

  test('takes a conversation for no new one that moves up while the inbox is loaded', async (context) => {
    const { anna, bert, old } = await withHalfAnInbox(context)
    anna.network.eventLost = 1
    await service.send(bert.user, anna.username, 'four')
    await anna.chat.loadConversations()
    assert.equal(anna.chat.hasMoreConversations, false)
    await anna.chat.sync()
    await until(() => anna.news.length > 0)
    assert.deepEqual([textsOf(anna.news), textsOf(old.messages)], [['four'], ['four']])
  })

  test('keeps a block whatever an earlier request is answered', async (context) => {
    const { anna, bert, old } = await withHalfAnInbox(context)
    const release = anna.network.hold()
    const page = anna.chat.loadConversations()
    await anna.chat.setBlock(bert.username, true)
    assert.equal(old.blocked, true)
    release()
    await page
    assert.equal(old.blocked, true)
  })

  test('loads older messages for a listener that asks for them at once', async (context) => {
    const { user } = await newUser(context)
    for (let index = 0; index < 120; index += 1) await service.send(user, user.username, `note ${index}`)
    const { chat } = await logIn(context, user)
    await online(chat)
    const notes = chat.conversation(user.username)
    chat.on('conversation', () => chat.loadOlder(notes))
    await chat.loadOlder(notes)
    await sleep(500)
    assert.equal(notes.messages.length, 120)
  })

  test('gives up a connection that does not open', async (context) => {
    const server = createServer(() => {}).listen(0)
    context.after(() => server.close())
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
    const { chat, options, network } = await newUser(context)
    chat.close()
    mockPauses(context, (time) => time / 50)
    const resumed = resume(context, { ...options, webSocketUrl: `ws://localhost:${port}` })
    assert.equal(resumed.status, 'connecting')
    await until(() => network.sockets.length === 3)
  })

  test('syncs as soon as it is connected again', async (context) => {
    const { chat, network, user, username, news } = await newUser(context)
    await online(chat)
    mockPauses(context, (time) => (time > 3_000 ? 10 * PATIENCE : time / 50))
    network.requestLost = network.eventLost = 1
    const requests = network.requests
    const sync = chat.sync()
    // It pauses for long now.
    await until(() => network.requests > requests + 3)
    await sleep(PATIENCE / 500)
    const stuck = network.requests
    await service.send(user, username, 'a note')
    assert.equal(network.requests, stuck)
    network.heal()
    network.disconnect()
    await until(() => news.length === 1)
    await sync
  })

  test('shares its storage with other clients of the user', async (context) => {
    const [anna, bert] = [await newUser(context), await newUser(context)]
    const network = new Network()
    const other = resume(context, { ...anna.options, fetch: network.fetch })
    network.requestLost = 1
    const unsent = other.send(bert.username, 'from the other')
    await anna.chat.send(bert.username, 'from the one')
    other.close()
    anna.chat.close()
    await assert.rejects(unsent, { code: 'CLOSED' })
    const resumed = resume(context, anna.options)
    await until(() => resumed.conversation(bert.username).newest === 2)
    assert.deepEqual(textsOf(await service.history(bert.user, anna.username)), ['from the one', 'from the other'])
  })

  test('does not send a refused message by itself after a new start', async (context) => {
    const [{ chat, options, user }, peer] = [await newUser(context), `user-${(users += 1)}`]
    await assert.rejects(chat.send(peer, 'too early'), { code: 'UNKNOWN_RECEIVER' })
    const { error } = chat.conversation(peer).outgoing[0]
    chat.close()
    await service.createUser(peer)
    const resumed = resume(context, options)
    await online(resumed)
    const conversation = resumed.conversation(peer)
    assert.deepEqual(conversation.waiting[0].error, error)
    assert.deepEqual(await service.history(user, peer), [])
    resumed.resend(conversation.waiting[0])
    await until(() => conversation.newest === 1 && conversation.outgoing.length === 0)
  })

  test('ends no process in which nobody waits for its calls', async (context) => {
    const { chat, username } = await newUser(context)
    await chat.send(username, 'a note')
    const notes = chat.conversation(username)
    chat.markRead(notes)
    chat.sync()
    chat.send(username, 'another')
    chat.loadOlder(chat.conversation('nobody'))
    chat.close()
    await sleep(50)
  })

  test('finds out by its own read markers that a connection is dead', async (context) => {
    const [anna, bert] = [await newUser(context), await newUser(context)]
    await online(anna.chat)
    await bert.chat.send(anna.username, 'Hello')
    const conversation = anna.chat.conversation(bert.username)
    await until(() => conversation.unread === 1)
    mockPauses(context, (time) => time / 50)
    anna.network.eventLost = 1
    const { requests } = anna.network
    await anna.chat.markRead(conversation)
    await anna.chat.markRead(conversation)
    assert.equal(anna.network.requests, requests + 1, 'once is enough')
    await until(() => conversation.unread === 0 && anna.network.sockets.length === 2)
  })

  test('fetches the text of a long message, which no event brings', async (context) => {
    const { anna, bert, old } = await withHalfAnInbox(context)
    // Escaped, it is longer than an event can be.
    const text = '\u0001'.repeat(6_000)
    await service.send(bert.user, anna.username, text)
    await until(() => anna.news.length === 1)
    assert.deepEqual([textsOf(anna.news), textsOf(old.messages)], [[text], [text]])
    await service.send(bert.user, anna.username, `${text}!`)
    await until(() => anna.news.length === 2)
    assert.deepEqual(textsOf(old.messages), [text, `${text}!`])
  })

  test('pauses for longer and longer, up to a minute, and not as long as others', async (context) => {
    const { chat, network, options } = await newUser(context)
    await online(chat)
    /** @type {number[]} */
    let pauses = []
    mockPauses(context, (time) => {
      pauses.push(time)
      return time / 200
    })
    const areLong = () => pauses.filter((pause) => pause > 30_000 && pause < 60_000).length > 2
    network.requestLost = 1
    chat.sync()
    await until(areLong)
    chat.close()

    network.heal()
    pauses = []
    resume(context, { ...options, webSocketUrl: 'ws://localhost:1' })
    await until(areLong)
    assert.ok(Math.max(...pauses) < 60_000)
  })

  test('joins no messages with a gap between them, however late they come', async (context) => {
    const { anna, bert, old } = await withHalfAnInbox(context)
    const release = anna.network.hold()
    const page = anna.chat.loadOlder(old)
    anna.network.eventLost = 1
    await service.send(bert.user, anna.username, 'four')
    await sleep(100)
    anna.network.heal()
    await service.send(bert.user, anna.username, 'five')
    await until(() => old.newest === 5)
    release()
    await page
    while (old.hasOlder) await anna.chat.loadOlder(old)
    assert.deepEqual(textsOf(old.messages), ['one', 'two', 'three', 'four', 'five'])
  })

  test('repeats a request that is not answered', async (context) => {
    const { chat, username, network } = await newUser(context)
    await online(chat)
    const { timeout } = AbortSignal
    context.mock.method(AbortSignal, 'timeout', (/** @type {number} */ time) => timeout(time / 100))
    network.next = (_, request) =>
      new Promise((_, reject) => request?.signal?.addEventListener('abort', () => reject(request.signal?.reason)))
    assert.equal((await chat.send(username, 'a note')).id, 1)
  })

  test('ends with the stored history whatever breaks', async (context) => {
    const seed = Number(process.env.SEED || Date.now() % 1e9)
    context.diagnostic(`SEED=${seed}`)
    const random = randomNumbers(seed)
    /** @type {Awaited<ReturnType<typeof newUser>>[]} */
    const everybody = []
    for (let index = 0; index < 4; index += 1) {
      everybody.push(await newUser(context, { network: new Network(random) }))
    }
    await online(...everybody.map(({ chat }) => chat))
    for (const { network } of everybody) {
      Object.assign(network, {
        requestLost: 0.1,
        answerLost: 0.1,
        eventLost: 0.2,
        eventTwice: 0.1,
        eventLate: 0.3,
      })
    }
    /** @param {any[]} list */
    const one = (list) => list[Math.floor(random() * list.length)]

    /** @type {Promise<Message>[]} */
    const sends = []
    let isBreaking = true
    const write = async () => {
      for (let index = 0; isBreaking; index += 1) {
        const { chat } = one(everybody)
        const { username } = one(everybody)
        sends.push(chat.send(username, `message ${index}`))
        const conversation = one([...chat.conversations.values()])
        if (conversation.unread > 0) chat.markRead(conversation).catch(() => {})
        await sleep(40 * random())
      }
    }
    const breaks = async () => {
      const faults = [
        () => service.killFunctions(),
        () => one(everybody).network.disconnect(),
        () => service.restartDatabase(),
        () => service.killFunctions(),
        () => service.restart(),
        () => one(everybody).network.disconnect(),
      ]
      for (const fault of faults) {
        await sleep(1_000)
        await fault()
      }
      await sleep(1_000)
      isBreaking = false
    }
    await Promise.all([write(), breaks()])
    everybody.forEach(({ network, chat }) => {
      network.heal()
      chat.wake()
    })
    const stored = await Promise.all(sends)
    context.diagnostic(`${stored.length} messages`)
    assert.ok(stored.length > 100)
    assert.equal(new Set(stored.map(({ message }) => message)).size, stored.length)

    for (const { chat, user, username, news } of everybody) {
      // As when the user comes back to the page.
      chat.wake()
      await chat.sync()
      for (const conversation of chat.conversations.values()) {
        while (conversation.hasOlder) await chat.loadOlder(conversation)
        const history = await service.history(user, conversation.peer)
        await until(() => conversation.newest === history.length)
        assert.deepEqual(conversation.messages, history)
        const isOfIt = (/** @type {Message} */ { sender, receiver }) =>
          [sender, receiver].includes(username) && [sender, receiver].includes(conversation.peer)
        const isNote = conversation.peer === username
        const told = news.filter((message) => isOfIt(message) && (message.sender === message.receiver) === isNote)
        assert.deepEqual(told, history, 'all of it was told once, in order')
        const of = (/** @type {Message[]} */ messages) =>
          messages.filter(({ sender, receiver }) => sender === username && receiver === conversation.peer)
        const numbers = of(history).map(({ message }) => Number(message.replace('message ', '')))
        assert.deepEqual(
          numbers,
          numbers.toSorted((one, other) => one - other),
          'in the order of sending',
        )
        assert.deepEqual(of(history).length, of(stored).length, 'each once')
        const unread = history.filter(({ id, sender }) => sender !== username && id > conversation.read_id)
        await until(() => conversation.unread === unread.length)
      }
    }
  })
})

/** The chat of a session that is in the storage. @param {TestContext} context @param {ChatService} service */
function resume(context, service) {
  const chat = Chat.resume(service)
  assert.ok(chat)
  context.after(() => chat.close())
  return chat
}

/** @returns {Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>} */
function newStorage() {
  const values = new Map()
  return {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => values.set(key, value),
    removeItem: (key) => values.delete(key),
  }
}

/** @param {{ message: string }[]} messages */
function textsOf(messages) {
  return messages.map(({ message }) => message)
}

/**
 * Makes pauses shorter or longer. The clock of `node:test` stops those of `fetch` too.
 *
 * @param {TestContext} context
 * @param {(time: number) => number} change
 */
function mockPauses(context, change) {
  const { setTimeout } = globalThis
  /** @param {() => void} work @param {number} time @param {any[]} rest */
  const mocked = (work, time, ...rest) => setTimeout(work, change(time), ...rest)
  context.mock.method(globalThis, 'setTimeout', /** @type {any} */ (mocked))
}

/** Waits until the clients are connected, and have asked for what was there before. @param {Chat[]} chats */
async function online(...chats) {
  await until(() => chats.every(({ status, isReady }) => status === 'online' && isReady))
  await Promise.all(chats.map((chat) => chat.sync()))
}

/** @param {() => boolean | Promise<boolean>} condition */
async function until(condition) {
  const deadline = Date.now() + PATIENCE
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `not within ${PATIENCE / 1_000} s: ${condition}`)
    await sleep(5)
  }
}
