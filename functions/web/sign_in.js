/** The form to sign up and log in with. */

import { Chat, createUser } from './client.js'
import { find, onSubmit } from './dom.js'

/** @import { Service } from './client.js' */

/** Shows the form until somebody has logged in. @param {Service} service @returns {Promise<Chat>} */
export function signIn(service) {
  const section = find('#sign-in')
  section.hidden = false
  find('#notice').textContent = sessionStorage.getItem('notice') ?? ''
  sessionStorage.removeItem('notice')
  find('input', section).focus()
  return new Promise((resolve) => {
    onSubmit(find('form', section), async ({ username, password, action }) => {
      if (action === 'sign-up') await createUser(service, username, password)
      const chat = await Chat.login(service, username, password, `Chat page on ${navigator.platform}`)
      section.hidden = true
      resolve(chat)
    })
  })
}
