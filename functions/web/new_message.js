/** The search for somebody to write to. */

import { create, describe, find, show } from './dom.js'
import { addressOf, nameOf } from './inbox.js'

/** @import { Chat } from './client.js' */

/** How long typing has to pause before the service is asked, in milliseconds. */
const PAUSE = 200

/** Returns what opens the view. @param {Chat} chat */
export function newMessageView(chat) {
  const field = find('#search')
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer

  async function search() {
    const prefix = field.value.trim()
    const problem = find('#found-none')
    try {
      const found = await chat.findUsers(prefix)
      // Something else has been typed meanwhile.
      if (prefix !== field.value.trim()) return
      const own = chat.session.username
      const names = prefix ? found : [own, ...found.filter((name) => name !== own)]
      problem.textContent = names.length > 0 ? '' : 'Nobody has a name that begins so.'
      show(
        find('#found'),
        names,
        (name) => name,
        () => create('found-user'),
        fill,
      )
    } catch (error) {
      problem.textContent = describe(error)
    }
  }

  /** @param {HTMLElement} item @param {string} name */
  function fill(item, name) {
    const link = find('a', item)
    link.textContent = nameOf(chat, name)
    link.href = addressOf(name)
  }

  field.addEventListener('input', () => {
    clearTimeout(timer)
    timer = setTimeout(search, PAUSE)
  })

  return () => {
    field.value = ''
    field.focus()
    search()
  }
}
