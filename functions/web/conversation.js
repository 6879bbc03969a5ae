/** One conversation: its messages, those that wait to be sent, and the form to write in. */

import { create, describe, fillTime, find, show, soon } from './dom.js'
import { nameOf } from './inbox.js'

/** @import { Chat, Conversation, Message, Outgoing } from './client.js' */

/** How near to an end of the list counts as being there, in pixels. */
const NEAR = 60

/** Returns what opens the conversation with a user. @param {Chat} chat */
export function conversationView(chat) {
  /** @type {Conversation | undefined} */
  let conversation
  let isAtEnd = true
  /** What has been begun to be written, by conversation. @type {Map<string, string>} */
  const drafts = new Map()
  const scroll = find('#scroll')
  const field = find('#composer textarea')

  const render = soon(() => {
    if (!conversation) return
    const { messages, waiting, peer, blocked, hasOlder } = conversation
    const first = find('#messages').firstElementChild?.dataset.key
    const toEnd = scroll.scrollHeight - scroll.scrollTop
    find('#peer').textContent = nameOf(chat, peer)
    find('#block').textContent = blocked ? 'Unblock' : 'Block'
    find('#block').hidden = peer === chat.session.username
    find('#blocked').hidden = !blocked
    find('#older').hidden = !hasOlder
    show(find('#messages'), messages, ({ id }) => id, make, fill)
    show(find('#waiting'), waiting, ({ key }) => key, makeWaiting, fillWaiting)
    if (isAtEnd) scroll.scrollTop = scroll.scrollHeight
    // Those that have come above must not move those that are being read.
    else if (first !== find('#messages').firstElementChild?.dataset.key) scroll.scrollTop = scroll.scrollHeight - toEnd
    look()
  })

  /** Loads what is to be seen soon, and notes what has been seen. */
  function look() {
    if (!conversation || location.hash.split('/')[1] !== 'with') return
    if (conversation.hasOlder && scroll.scrollTop < NEAR + scroll.clientHeight)
      chat.loadOlder(conversation).catch((error) => tell(describe(error)))
    // Beyond the loaded inbox nothing is known of that.
    const isUnread = conversation.unread > 0 || !conversation.told
    if (isUnread && isAtEnd && document.visibilityState === 'visible') chat.markRead(conversation)
  }

  /** @param {Message} message */
  function make({ sender, message, time_stamp }) {
    const item = create('message')
    const isOwn = sender === chat.session.username
    item.classList.toggle('own', isOwn)
    find('.sender', item).textContent = isOwn ? 'You:' : `${sender}:`
    find('.text', item).textContent = message
    fillTime(find('time', item), time_stamp)
    return item
  }

  /** @param {HTMLElement} item @param {Message} message */
  function fill(item, { id, sender, receiver }) {
    if (sender !== chat.session.username || receiver === sender) return
    const isRead = id <= (conversation?.peer_read_id ?? 0)
    if (item.dataset.read === String(isRead)) return
    item.dataset.read = String(isRead)
    find('.tick', item).textContent = isRead ? '✓✓' : '✓'
    find('.state', item).textContent = isRead ? 'Read' : 'Sent'
  }

  /** @param {Outgoing} outgoing */
  function makeWaiting(outgoing) {
    const item = create('waiting-message')
    find('.text', item).textContent = outgoing.message
    find('.resend', item).addEventListener('click', () => chat.resend(outgoing))
    find('.discard', item).addEventListener('click', () => chat.discard(outgoing))
    return item
  }

  /** @param {HTMLElement} item @param {Outgoing} outgoing */
  function fillWaiting(item, { error }) {
    find('small', item).textContent = error ? `Not sent. ${describe(error)}` : 'Sending …'
    find('.row', item).hidden = !error
    item.classList.toggle('failed', Boolean(error))
  }

  scroll.addEventListener('scroll', () => {
    isAtEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR
    look()
  })
  new ResizeObserver(() => isAtEnd && (scroll.scrollTop = scroll.scrollHeight)).observe(scroll)
  document.addEventListener('visibilitychange', look)
  chat.on('conversation', (changed) => changed === conversation && render())

  const composer = find('#composer')
  composer.addEventListener('submit', (/** @type {Event} */ event) => {
    event.preventDefault()
    if (!conversation) return
    // The list shows how it ends.
    chat.send(conversation.peer, field.value).catch(() => {})
    composer.reset()
    isAtEnd = true
    render()
  })
  field.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    // Not the Enter that ends a composition, as in Japanese.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || isTouch()) return
    event.preventDefault()
    composer.requestSubmit()
  })
  find('#block').addEventListener('click', () => {
    if (!conversation) return
    const { peer, blocked } = conversation
    chat.setBlock(peer, !blocked).then(
      () => tell(''),
      (error) => tell(describe(error)),
    )
  })

  return (/** @type {string} */ peer) => {
    if (conversation) drafts.set(conversation.key, field.value)
    conversation = chat.conversation(peer)
    isAtEnd = true
    tell('')
    find('#messages').replaceChildren()
    find('#waiting').replaceChildren()
    field.value = drafts.get(conversation.key) ?? ''
    render()
    if (isTouch()) find('#peer').focus()
    else field.focus()
  }
}

/** @param {string} problem */
function tell(problem) {
  find('#conversation-alert').textContent = problem
  find('#conversation-alert').hidden = !problem
}

/** Whether the keyboard is one on the screen, which hides half of it. */
function isTouch() {
  return matchMedia('(pointer: coarse)').matches
}
