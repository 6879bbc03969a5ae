/** The settings: devices, blocked people, the password, and the end of the account. */

import { create, describe, find, onSubmit, shortTime, show } from './dom.js'

/** @import { Chat, Conversation, Device } from './client.js' */

/** Returns what opens the view. @param {Chat} chat */
export function settingsView(chat) {
  /** Does what a button is for, and shows what it has changed. @param {() => Promise<unknown>} work */
  async function act(work) {
    find('#settings-alert').textContent = ''
    try {
      await work()
    } catch (error) {
      find('#settings-alert').textContent = describe(error)
    }
  }

  async function showDevices() {
    show(find('#devices'), await chat.sessions(), ({ id }) => id, makeDevice, fillDevice)
  }

  /** @param {Device} device */
  function makeDevice(device) {
    const item = create('entry')
    const button = find('button', item)
    button.textContent = 'End'
    button.addEventListener('click', () =>
      act(async () => {
        await chat.endSession(device)
        await showDevices()
      }),
    )
    return item
  }

  /** @param {HTMLElement} item @param {Device} device */
  function fillDevice(item, { device, created_at, current }) {
    const name = device ?? 'A device without a name'
    find('.text', item).textContent = `${name}, since ${shortTime(created_at)}${current ? ' (this one)' : ''}`
    find('button', item).ariaLabel = `End the session of ${name}`
    find('button', item).hidden = current
  }

  function showBlocks() {
    const blocked = [...chat.conversations.values()].filter((conversation) => conversation.blocked)
    show(find('#blocks'), blocked, ({ key }) => key, makeBlock)
  }

  /** @param {Conversation} conversation */
  function makeBlock({ peer }) {
    const item = create('entry')
    find('.text', item).textContent = peer
    const button = find('button', item)
    button.textContent = 'Unblock'
    button.ariaLabel = `Unblock ${peer}`
    button.addEventListener('click', () => act(() => chat.setBlock(peer, false)))
    return item
  }

  find('#log-out').addEventListener('click', () => act(() => chat.logout()))
  find('#log-out-everywhere').addEventListener('click', () => act(() => chat.logout(true)))
  onSubmit(find('#password-form'), async ({ password, new_password }) => {
    await chat.changePassword(password, new_password)
    await showDevices()
    return 'The password is changed. All other devices are logged out.'
  })
  onSubmit(find('#delete-form'), ({ password }) => chat.deleteUser(password))
  chat.on('conversation', showBlocks)

  // With the name, browsers can keep the new password.
  find('#password-form').elements.username.defaultValue = chat.session.username

  return async () => {
    find('#settings-title').focus()
    await act(async () => {
      await showDevices()
      // Whoever is blocked may be far down in the inbox.
      while (chat.hasMoreConversations) await chat.loadConversations()
    })
    showBlocks()
  }
}
