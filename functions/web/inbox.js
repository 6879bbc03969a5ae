/** The list of conversations. */

import { create, fillTime, find, show, soon } from './dom.js'

/** @import { Chat, Conversation } from './client.js' */

/** @param {Chat} chat */
export function inboxView(chat) {
  const render = soon(() => {
    const { inbox } = chat
    show(
      find('#inbox'),
      inbox,
      ({ key }) => key,
      () => create('inbox-item'),
      (item, conversation) => fill(chat, item, conversation),
    )
    find('#more').hidden = !chat.hasMoreConversations
    const unread = inbox.reduce((sum, each) => sum + each.unread, 0)
    document.title = unread > 0 ? `(${unread}) Chat` : 'Chat'
  })
  chat.on('conversation', render)
  window.addEventListener('hashchange', render)
  find('#more').addEventListener('click', () => chat.loadConversations().then(render))
  render()
}

/** The address of a conversation: names need no escaping. @param {string} peer */
export function addressOf(peer) {
  return `#/with/${peer}`
}

/** What a conversation is called. @param {Chat} chat @param {string} peer */
export function nameOf(chat, peer) {
  return peer === chat.session.username ? 'Notes to yourself' : peer
}

/**
 * @param {Chat} chat
 * @param {HTMLElement} item
 * @param {Conversation} conversation
 */
function fill(chat, item, { peer, outgoing, messages, last_message, unread, blocked }) {
  const link = find('a', item)
  link.href = addressOf(peer)
  link.ariaCurrent = link.hash === location.hash ? 'page' : null
  find('.name', item).textContent = nameOf(chat, peer)
  find('.text', item).textContent = (outgoing.at(-1) ?? messages.at(-1) ?? last_message)?.message ?? ''
  if (last_message) fillTime(find('time', item), last_message.time_stamp)
  const badges = [
    unread > 0 && `${unread} unread`,
    blocked && 'blocked',
    outgoing.some(({ error }) => error) && 'not sent',
  ]
  find('.badges', item).textContent = badges.filter(Boolean).join(', ')
  item.classList.toggle('unread', unread > 0)
}
