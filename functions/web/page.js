/** The page: first a form to sign in with, then the views of a user's chat, by the part of the address after `#`. */

import { Chat } from './client.js'
import { conversationView } from './conversation.js'
import { find } from './dom.js'
import { inboxView } from './inbox.js'
import { newMessageView } from './new_message.js'
import { settingsView } from './settings.js'
import { signIn } from './sign_in.js'

const service = {
  url: new URL('.', document.baseURI).href,
  webSocketUrl: find('meta[name=web-socket-url]').content,
  // Each tab has its own: two tabs can be two users.
  storage: sessionStorage,
}
const chat = Chat.resume(service) ?? (await signIn(service))

find('#chat').hidden = false
find('#me').textContent = chat.session.username
inboxView(chat)
const views = {
  with: { section: find('#conversation'), open: conversationView(chat) },
  new: { section: find('#new'), open: newMessageView(chat) },
  settings: { section: find('#settings'), open: settingsView(chat) },
  none: { section: find('#nothing'), open: () => {} },
}

/** Shows what the address says: `#/with/bob`, `#/new`, `#/settings`, or the inbox alone. */
function route() {
  const [, name, peer = ''] = location.hash.split('/')
  const view = Object.hasOwn(views, name) ? /** @type {keyof typeof views} */ (name) : 'none'
  for (const { section } of Object.values(views)) section.hidden = section !== views[view].section
  // On a narrow screen there is room for the inbox or a view.
  document.body.dataset.view = view
  views[view].open(peer)
}

window.addEventListener('hashchange', route)
route()

chat.on('status', (status) => (find('#offline').hidden = status === 'online'))
chat.on('message', ({ sender, message }) => {
  if (sender !== chat.session.username) find('#announcement').textContent = `${sender}: ${message}`
})
chat.on('error', console.error)
chat.on('end', (error) => {
  if (error) sessionStorage.setItem('notice', 'Your session has ended. Log in to go on.')
  // Nothing of one user's chat is left for the next.
  location.replace(location.pathname)
})
window.addEventListener('online', () => chat.wake())
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') chat.wake()
})
