// The page in a real browser, as people use it: found by roles and labels, as a screen reader finds it.

import { AxeBuilder } from '@axe-core/playwright'
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { chromium } from 'playwright-core'
import { Service } from './service.js'

/** @import { Browser, BrowserContext, BrowserContextOptions, Locator, Page, Route, WebSocketRoute } from 'playwright-core' */

/** How long something may take to be seen, in milliseconds. */
const PATIENCE = 30_000
/** In milliseconds, on a busy machine. */
const LONGEST_TO_FIRST_PAINT = 2_000
/** All files that the page loads, in bytes. */
const LARGEST_PAGE = 60 * 1024

const PASSWORD = 'a fine passphrase'
const SCREENSHOTS = fileURLToPath(new URL('../../../.local/screenshots', import.meta.url))

/** @type {Record<string, BrowserContextOptions>} */
const SIZES = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true },
}

/** @type {Service} */
let service
/** @type {Browser} */
let browser
/** @type {BrowserContext[]} */
const windows = []
/** What no window may ever write to its console, and dialogs. @type {string[]} */
const problems = []

before(async () => {
  service = await Service.start()
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', chromiumSandbox: false })
})
after(async () => {
  await browser?.close()
  await service?.stop()
})
afterEach(async () => {
  await Promise.all(windows.splice(0).map((window) => window.close()))
  assert.deepEqual(problems.splice(0), [])
})

describe('on the page', () => {
  test('it is well laid out and accessible: each view, on a desktop and a phone, light and dark', async (t) => {
    await populate()
    await mkdir(SCREENSHOTS, { recursive: true })
    for (const [size, options] of Object.entries(SIZES)) {
      const page = await open({ ...SIZES.desktop, ...options })
      /** @param {string} view */
      const inspect = async (view) => {
        for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
          await page.emulateMedia({ colorScheme })
          // Nothing is pointed at.
          await page.mouse.move(0, 0)
          const name = `${view}-${size}-${colorScheme}`
          await page.screenshot({ path: `${SCREENSHOTS}/${name}.png` })
          assert.deepEqual(await faults(page), [], name)
        }
      }

      await inspect('sign-in')
      await logIn(page, 'Dora')
      await inboxItem(page, 'Boots').waitFor()
      await inspect('inbox')
      await inboxItem(page, 'Boots').click()
      await eventually(() => texts(page).then(({ length }) => length > 5), true)
      await inspect('conversation')
      await goTo(page, '#/new')
      await page.getByRole('list', { name: 'Users' }).getByRole('link', { name: 'Tico' }).waitFor()
      await inspect('new-message')
      await goTo(page, '#/settings')
      await page.getByRole('button', { name: 'Unblock Swiper' }).waitFor()
      await inspect('settings')
    }
    t.diagnostic(`The screenshots are in ${SCREENSHOTS}`)
  })

  test('two people sign up, find each other, and chat with unread counts and ticks, all without a reload', async () => {
    const [ann, ben] = await Promise.all([signUp('Ann'), signUp('Ben')])
    await ann.getByRole('link', { name: 'New message' }).first().click()
    await ann.getByRole('searchbox', { name: 'To' }).fill('be')
    await ann.getByRole('list', { name: 'Users' }).getByRole('link', { name: 'Ben', exact: true }).click()
    await send(ann, 'Hello Ben!')
    await inboxItem(ben, 'Ann').getByText('1 unread').waitFor()
    await send(ann, 'How are you?')
    await inboxItem(ben, 'Ann').getByText('2 unread').waitFor()
    await eventually(() => ben.title(), '(2) Chat')
    await eventually(() => ticks(ann), ['✓', '✓'])
    assert.match(await item(ann, 'Hello Ben!').innerText(), /Sent/)

    await inboxItem(ben, 'Ann').click()
    await eventually(() => texts(ben), ['Hello Ben!', 'How are you?'])
    await eventually(() => ben.title(), 'Chat')
    await inboxItem(ben, 'Ann').getByText('unread').waitFor({ state: 'detached' })
    await eventually(() => ticks(ann), ['✓✓', '✓✓'])
    assert.match(await item(ann, 'Hello Ben!').innerText(), /Read/)

    await send(ben, 'Fine.')
    await eventually(() => texts(ann), ['Hello Ben!', 'How are you?', 'Fine.'])
    await eventually(() => ticks(ben), ['✓✓'])
    // To whom it comes in elsewhere, a screen reader tells it.
    await ann.getByRole('status').getByText('Ben: Fine.').waitFor()
  })

  test('what is written while the service is away waits, and is stored once and in order when it is back', async () => {
    const [cleo, dan] = await talk('Cleo', 'Dan')
    await service.restart(async () => {
      for (const text of ['one', 'two', 'three']) await send(cleo, text)
      await eventually(() => waiting(cleo).getByText('Sending …').count(), 3)
      await cleo.getByText('No connection. What you write is sent as soon as there is one.').waitFor()
    })
    await eventually(() => waiting(cleo).count(), 0)
    await areStored('Cleo', 'Dan', ['one', 'two', 'three'])
    await cleo.getByText('No connection').waitFor({ state: 'hidden' })
    for (const page of [cleo, dan]) await eventually(() => texts(page), ['one', 'two', 'three'])
  })

  test('messages whose answers are lost are stored and shown once, even after a reload', async () => {
    const [eve, finn] = await talk('Eve', 'Finn')
    /** @param {Route} route */
    const loseAnswer = async (route) => {
      await route.fetch()
      await route.abort()
    }
    await eve.route('**/messages', loseAnswer, { times: 2 })
    for (const text of ['one', 'one', 'two']) await send(eve, text)
    for (const page of [eve, finn]) await eventually(() => texts(page), ['one', 'one', 'two'])

    await eve.route('**/messages', loseAnswer)
    for (const text of ['three', 'four']) await send(eve, text)
    await eventually(() => texts(finn), ['one', 'one', 'two', 'three'])
    await eve.unroute('**/messages')
    await eve.reload()
    for (const page of [eve, finn]) {
      await eventually(() => texts(page), ['one', 'one', 'two', 'three', 'four'])
    }
    await eventually(() => waiting(eve).count(), 0)
    await areStored('Eve', 'Finn', ['one', 'one', 'two', 'three', 'four'])
  })

  test('what waits to be sent and the session outlast a reload', async () => {
    const [gus] = await talk('Gus', 'Hana')
    await gus.route('**/messages', (route) => route.abort())
    for (const text of ['one', 'two']) await send(gus, text)
    await gus.reload()
    await eventually(() => waiting(gus).getByText('Sending …').count(), 2)
    await areStored('Gus', 'Hana', [])
    await gus.unroute('**/messages')
    await areStored('Gus', 'Hana', ['one', 'two'])
    await eventually(() => ticks(gus), ['✓✓', '✓✓'])
    assert.deepEqual(await texts(gus), ['one', 'two'])
  })

  test('messages still come in after the connection, the service, its functions or the database were killed', async () => {
    /** @type {WebSocketRoute[]} */
    const connections = []
    const page = await open()
    await page.routeWebSocket(/:9001/, (connection) => {
      connection.connectToServer()
      connections.push(connection)
    })
    await signUp('Ivan', page)
    const jane = await signUp('Jane')
    await goTo(jane, '#/with/Ivan')
    await goTo(page, '#/with/Jane')
    const disturbances = [
      () => connections.at(-1)?.close({ code: 1011 }),
      () => service.restart(),
      () => service.killFunctions(),
      () => service.restartDatabase(),
    ]
    /** @type {string[]} */
    const sent = []
    for (const [index, disturb] of disturbances.entries()) {
      await disturb()
      sent.push(`message ${index}`)
      await send(jane, `message ${index}`)
      await eventually(() => texts(page), sent)
    }
    // Not only by what stands in for the connection.
    await eventually(async () => connections.length > 2, true)
    await page.getByText('No connection').waitFor({ state: 'hidden' })
    await page.reload()
    await eventually(() => texts(page), sent)
  })

  test('markup is text wherever it is shown', async () => {
    const [kim, leo] = await talk('Kim', 'Leo')
    const markup = [
      '<img src=x onerror="alert(1)">',
      '<script>alert(1)</script>',
      '&amp; &lt;b&gt; </p></li></ol>',
      '<a href="javascript:alert(1)">link</a>',
    ]
    for (const text of markup) await send(kim, text)
    for (const page of [kim, leo]) await eventually(() => texts(page), markup)
    await inboxItem(leo, 'Kim').getByText(markup[3], { exact: true }).waitFor()
    await leo.getByRole('status').getByText(`Kim: ${markup[3]}`, { exact: true }).waitFor()

    await service.call('/login', { body: { username: 'Leo', password: PASSWORD, device: markup[0] } })
    await goTo(leo, '#/settings')
    await leo.getByRole('region', { name: 'Settings' }).getByText(markup[0]).waitFor()
    await goTo(leo, `#/with/${markup[0]}`)
    await leo.getByRole('heading', { name: encodeURI(markup[0]) }).waitFor()
    await leo.getByRole('alert').getByText('`receiver` may contain only').waitFor()
    for (const page of [kim, leo]) assert.equal(await page.locator('img, script:not([src])').count(), 0)
  })

  test('the browser lets no markup be put into it, by the content security policy', async () => {
    // Its console is meant to tell of that.
    const page = await browser.newPage()
    await page.goto(service.url)
    await assert.rejects(
      page.evaluate(() => (document.body.innerHTML = '<b>markup</b>')),
      /TrustedHTML/,
    )
    await page.close()
  })

  test('older conversations come by a button, which is gone when all are there', async () => {
    await createUser('Hub')
    for (let index = 0; index < 52; index += 1) {
      await service.send(await createUser(`Friend-${index}`), 'Hub', `from ${index}`)
    }
    const page = await open()
    await logIn(page, 'Hub')
    const list = page.getByRole('navigation').getByRole('listitem')
    const more = page.getByRole('button', { name: 'Older conversations' })
    await more.waitFor()
    assert.equal(await list.count(), 50)
    await more.click()
    await more.waitFor({ state: 'hidden' })
    assert.equal(await list.count(), 52)
    assert.match(await list.last().innerText(), /Friend-0/)

    // One that is opened by its address is read, too, before it is in the list.
    const other = await open()
    await logIn(other, 'Hub')
    await goTo(other, '#/with/Friend-0')
    const { token } = await service.login('Hub', PASSWORD)
    const unread = async () => {
      const { conversations } = await service.call('/conversations?limit=200', { token })
      return conversations.find((/** @type {{ peer: string }} */ { peer }) => peer === 'Friend-0').unread
    }
    await eventually(unread, 0)
  })

  test('a long conversation can be read back to its first message, without gaps or jumps', async () => {
    const [max, nora] = [await createUser('Max'), await createUser('Nora')]
    const all = Array.from({ length: 150 }, (_, index) => `Message ${index + 1}`)
    for (const [index, text] of all.entries()) {
      await (index % 3 ? service.send(max, 'Nora', text) : service.send(nora, 'Max', text))
    }
    const page = await open()
    await logIn(page, 'Max')
    await inboxItem(page, 'Nora').click()
    await message(page, 'Message 150').waitFor()
    await eventually(() => texts(page).then(({ length }) => length > 1), true)

    /** @type {Route[]} */
    const held = []
    await page.route('**/messages/query', (route) => void held.push(route))
    await messages(page).hover()
    let loads = 0
    while ((await texts(page)).length < all.length) {
      while (held.length === 0) {
        await page.mouse.wheel(0, -300)
        await stillness(page)
      }
      const first = /** @type {string} */ (await firstInView(page))
      const before = await top(message(page, first))
      const count = (await texts(page)).length
      await held.pop()?.continue()
      await eventually(() => texts(page).then(({ length }) => length > count), true)
      await stillness(page)
      assert.ok(Math.abs((await top(message(page, first))) - before) < 1, `${first} has moved`)
      loads += 1
    }
    assert.ok(loads > 1)
    assert.deepEqual(await texts(page), all)

    // What comes in meanwhile does not move it either, and counts as unread until it is seen.
    await page.unroute('**/messages/query')
    let marks = 0
    page.on('request', (request) => void (marks += Number(request.url().endsWith('/messages/read'))))
    const first = /** @type {string} */ (await firstInView(page))
    const before = await top(message(page, first))
    await service.send(nora, 'Max', 'Message 151')
    await inboxItem(page, 'Nora').getByText('1 unread').waitFor()
    await eventually(() => texts(page), [...all, 'Message 151'])
    await stillness(page)
    assert.equal(marks, 0)
    assert.ok(Math.abs((await top(message(page, first))) - before) < 1, `${first} has moved`)
    while (!(await isInView(page, 'Message 151'))) {
      await page.mouse.wheel(0, 3_000)
      await stillness(page)
    }
    await eventually(() => page.title(), 'Chat')
  })

  test('everything goes by keyboard alone, and the focus is always to be seen', async () => {
    await createUser('Otto')
    const page = await open()
    const { keyboard } = page
    const to = page.getByRole('searchbox', { name: 'To' })
    const field = page.getByRole('textbox', { name: 'Message' })
    /** @param {Locator[]} stops */
    const tab = async (...stops) => {
      for (const stop of stops) {
        await keyboard.press('Tab')
        await eventually(() => focus(stop), 'visible')
      }
    }

    await eventually(() => focus(page.getByRole('textbox', { name: 'Username' })), 'visible')
    await keyboard.type('Pia')
    await tab(page.getByRole('main').getByLabel('Password'))
    await keyboard.type(PASSWORD)
    await tab(page.getByRole('button', { name: 'Log in' }), page.getByRole('button', { name: 'Sign up' }))
    await keyboard.press('Enter')
    await page.getByRole('banner').waitFor()

    await tab(page.getByRole('banner').getByRole('link', { name: 'New message' }))
    await keyboard.press('Enter')
    await eventually(() => focus(to), 'visible')
    await keyboard.type('otto')
    const found = page.getByRole('list', { name: 'Users' }).getByRole('link')
    await eventually(() => found.allInnerTexts(), ['Otto'])
    await tab(found)
    await keyboard.press('Enter')
    await eventually(() => focus(field), 'visible')
    await keyboard.type('First line')
    await keyboard.press('Shift+Enter')
    await keyboard.type('second line')
    await keyboard.press('Enter')
    await eventually(() => texts(page), ['First line\nsecond line'])
    assert.equal(await field.inputValue(), '')
    assert.equal(await focus(field), 'visible')

    await page.goBack()
    await eventually(() => focus(to), 'visible')
    await page.goForward()
    await eventually(() => focus(field), 'visible')
    await tab(page.getByRole('button', { name: 'Send' }))
    await keyboard.press('Tab')
    await tab(
      page.getByRole('banner').getByRole('link', { name: 'New message' }),
      page.getByRole('banner').getByRole('link', { name: 'Settings' }),
      inboxItem(page, 'Otto'),
      page.getByRole('button', { name: 'Block' }),
      messages(page),
      field,
    )
  })

  test('on a phone, Enter makes a line, and one view is shown at a time', async () => {
    await createUser('Quinn')
    const page = await open(SIZES.phone)
    await signUp('Rosa', page)
    await page.getByRole('banner').getByRole('link', { name: 'New message' }).tap()
    await page.getByRole('searchbox', { name: 'To' }).fill('Quinn')
    await page.getByRole('list', { name: 'Users' }).getByRole('link', { name: 'Quinn' }).tap()
    const field = page.getByRole('textbox', { name: 'Message' })
    await field.tap()
    await page.keyboard.type('one')
    await page.keyboard.press('Enter')
    await page.keyboard.type('two')
    await page.getByRole('button', { name: 'Send' }).tap()
    await eventually(() => texts(page), ['one\ntwo'])
    const inbox = page.getByRole('navigation', { name: 'Conversations' })
    assert.equal(await inbox.isVisible(), false)
    await page.getByRole('link', { name: 'Back' }).tap()
    await inbox.waitFor()
    assert.equal(await field.isVisible(), false)
  })

  test('one can write to oneself', async () => {
    const page = await signUp('Sam')
    await page.getByRole('link', { name: 'New message' }).first().click()
    await page.getByRole('list', { name: 'Users' }).getByRole('link', { name: 'Notes to yourself' }).click()
    await send(page, 'Buy bananas')
    await inboxItem(page, 'Notes to yourself').getByText('Buy bananas').waitFor()
    await page.getByRole('heading', { name: 'Notes to yourself' }).waitFor()
    await areStored('Sam', 'Sam', ['Buy bananas'])
    await eventually(() => texts(page), ['Buy bananas'])
    assert.deepEqual(await ticks(page), [''])
    assert.equal(await page.title(), 'Chat')
    assert.equal(await page.getByRole('button', { name: 'Block' }).count(), 0)
  })

  test('a refused message says why, and can be tried again or discarded', async () => {
    const page = await signUp('Tess')
    await goTo(page, '#/with/Ugo')
    for (const text of ['early', 'in vain']) await send(page, text)
    await eventually(() => waiting(page).getByText('Not sent. No user has the receiver').count(), 2)
    await inboxItem(page, 'Ugo').getByText('not sent').waitFor()
    await waiting(page).filter({ hasText: 'in vain' }).getByRole('button', { name: 'Discard' }).click()
    await eventually(() => texts(page), ['early'])
    const ugo = await createUser('Ugo')
    await page.getByRole('button', { name: 'Try again' }).click()
    await areStored('Tess', 'Ugo', ['early'])
    await eventually(() => waiting(page).count(), 0)

    await service.call('/users/delete', { token: ugo.token, body: { username: 'Ugo', password: PASSWORD } })
    await send(page, 'too late')
    await waiting(page).getByText('Not sent.').waitFor()
    await page.reload()
    await eventually(() => texts(page), ['early', 'too late'])
    await waiting(page).getByText('Not sent.').waitFor()
    await page.getByRole('button', { name: 'Discard' }).click()
    await eventually(() => texts(page), ['early'])
  })

  test('a block keeps messages away, until it is lifted', async () => {
    const [vera, will] = await talk('Vera', 'Will')
    await send(will, 'before')
    await eventually(() => texts(vera), ['before'])
    await vera.getByRole('button', { name: 'Block', exact: true }).click()
    await vera.getByText('Blocked: neither of you can write to the other.').waitFor()
    await inboxItem(vera, 'Will').getByText('blocked').waitFor()
    await send(will, 'meanwhile')
    await waiting(will).getByText('Not sent.').waitFor()
    await goTo(vera, '#/settings')
    await vera.getByRole('button', { name: 'Unblock Will' }).click()
    await inboxItem(vera, 'Will').getByText('blocked').waitFor({ state: 'detached' })
    await will.getByRole('button', { name: 'Try again' }).click()
    await eventually(() => texts(will), ['before', 'meanwhile'])
    await goTo(vera, '#/with/Will')
    await eventually(() => texts(vera), ['before', 'meanwhile'])
    await vera.getByRole('button', { name: 'Block', exact: true }).click()
    await vera.getByRole('button', { name: 'Unblock', exact: true }).click()
    await vera.getByRole('button', { name: 'Block', exact: true }).waitFor()
    await send(vera, 'after')
    await eventually(() => texts(will), ['before', 'meanwhile', 'after'])
  })

  test('one device can end another, and changing the password ends all others', async () => {
    const page = await signUp('Xenia')
    const other = await open()
    const isOut = () => other.getByText('Your session has ended. Log in to go on.').waitFor()
    await logIn(other, 'Xenia')
    await goTo(page, '#/settings')
    await page.getByText('(this one)').waitFor()
    await page.getByRole('button', { name: /^End the session of Chat page on / }).click()
    await isOut()
    await eventually(() => page.getByRole('button', { name: /^End the session of / }).count(), 0)

    await logIn(other, 'Xenia')
    const form = page.getByRole('region', { name: 'Settings' })
    await form.getByLabel('Current password').fill('not the passphrase')
    await form.getByLabel('New password').fill('quite another passphrase')
    await form.getByRole('button', { name: 'Change password' }).click()
    await form.getByRole('alert').getByText('password').waitFor()
    await form.getByLabel('Current password').fill(PASSWORD)
    await form.getByLabel('New password').fill('short')
    await form.getByRole('button', { name: 'Change password' }).click()
    await eventually(() => form.getByLabel('New password').getAttribute('aria-invalid'), 'true')
    await form.getByLabel('New password').fill('quite another passphrase')
    await form.getByRole('button', { name: 'Change password' }).click()
    await form.getByText('The password is changed. All other devices are logged out.').waitFor()
    await isOut()
    await logIn(other, 'Xenia', 'quite another passphrase')
    await page.reload()
    await page.getByText('(this one)').waitFor()
  })

  test('whoever logs in next sees nothing of the user before', async () => {
    const [yara] = await talk('Yara', 'Zoe')
    await send(yara, 'A secret')
    await eventually(() => ticks(yara), ['✓✓'])
    await yara.getByRole('textbox', { name: 'Message' }).fill('Half a secret')
    await goTo(yara, '#/settings')
    await yara.getByRole('button', { name: 'Log out', exact: true }).click()
    await yara.getByRole('button', { name: 'Log in' }).waitFor()
    await yara.goBack()
    await signUp('Abel', yara)
    await yara.getByRole('heading', { name: 'Zoe' }).waitFor()
    assert.equal(await yara.getByRole('navigation').getByRole('listitem').count(), 0)
    assert.equal(await yara.getByRole('textbox', { name: 'Message' }).inputValue(), '')
    assert.doesNotMatch(await yara.content(), /secret|Yara/)
  })

  test('a deleted account is gone, and its name with it', async () => {
    const [bill, cora] = await talk('Bill', 'Cora')
    await send(bill, 'Farewell')
    await eventually(() => texts(cora), ['Farewell'])
    await goTo(bill, '#/settings')
    await bill.getByText('Delete account').first().click()
    const form = bill.getByRole('group').filter({ hasText: 'Delete account' })
    await form.getByLabel('Password').fill('not the passphrase')
    await form.getByRole('button', { name: 'Delete account' }).click()
    await form.getByRole('alert').getByText('password').waitFor()
    await form.getByLabel('Password').fill(PASSWORD)
    await form.getByRole('button', { name: 'Delete account' }).click()
    await bill.getByRole('button', { name: 'Sign up' }).waitFor()
    await fillSignIn(bill, 'Bill')
    await bill.getByRole('button', { name: 'Sign up' }).click()
    await eventually(() => bill.getByLabel('Username').getAttribute('aria-invalid'), 'true')
    await cora.reload()
    await eventually(() => texts(cora), ['Farewell'])
  })

  test('signing up and logging in say what is wrong, and with which field', async () => {
    await createUser('Dolly')
    const page = await open()
    const main = page.getByRole('main')
    const attempts = [
      { name: 'dolly', password: PASSWORD, button: 'Sign up', faulty: ['Username'] },
      { name: '<img src=x onerror=alert(1)>', password: PASSWORD, button: 'Sign up', faulty: ['Username'] },
      { name: 'Elias', password: 'password1', button: 'Sign up', faulty: ['Password'] },
      { name: 'x', password: 'short', button: 'Sign up', faulty: ['Username', 'Password'] },
      { name: 'Dolly', password: 'not the passphrase', button: 'Log in', faulty: [] },
    ]
    for (const { name, password, button, faulty } of attempts) {
      await fillSignIn(page, name, password)
      await page.getByRole('button', { name: button }).click()
      await main.getByRole('alert').getByText(/./).waitFor()
      for (const label of ['Username', 'Password']) {
        const expected = faulty.includes(label) ? 'true' : null
        assert.equal(await main.getByLabel(label).getAttribute('aria-invalid'), expected, `${label} of ${name}`)
      }
      if (faulty.length > 0) assert.equal(await focus(main.getByLabel(faulty[0])), 'visible')
    }
    await logIn(page, 'Dolly')
  })

  test('text runs in the direction of its script', async () => {
    const [fay] = await talk('Fay', 'Greg')
    const field = fay.getByRole('textbox', { name: 'Message' })
    for (const [text, direction] of [
      ['مرحبا! كيف حالك؟', 'rtl'],
      ['שלום Greg', 'rtl'],
      ['Hello שלום', 'ltr'],
    ]) {
      await field.fill(text)
      assert.equal(await directionOf(field), direction)
      await fay.getByRole('button', { name: 'Send' }).click()
      await message(fay, text).waitFor()
      await eventually(() => directionOf(message(fay, text)), direction)
    }
    assert.equal(await directionOf(inboxItem(fay, 'Greg').getByText('Hello')), 'ltr')
  })

  test('nothing makes the page wider than a small phone', async () => {
    const name = `Hal${'-W'.repeat(30)}`
    const hal = await createUser(name)
    const page = await open({ ...SIZES.phone, viewport: { width: 360, height: 640 } })
    await signUp('Ida', page)
    const excess = () =>
      page.evaluate(() => {
        const { scrollWidth } = /** @type {Element} */ (document.scrollingElement)
        return scrollWidth - innerWidth
      })
    const texts = ['W'.repeat(500), 'https://example.com/?'.padEnd(300, 'w'), 'ﷺ'.repeat(100)]
    for (const text of texts) await service.send(hal, 'Ida', text)
    await inboxItem(page, name).getByText('3 unread').waitFor()
    assert.equal(await excess(), 0)
    await inboxItem(page, name).click()
    for (const text of texts) await message(page, text).waitFor()
    assert.equal(await excess(), 0)
    assert.equal(await messages(page).evaluate((list) => list.scrollWidth - list.clientWidth), 0)
    for (const hash of ['#/new', '#/settings']) {
      await goTo(page, hash)
      await page.getByRole('main').getByRole('link', { name: 'Back' }).waitFor()
      assert.equal(await excess(), 0)
    }
  })

  test('it is small, soon there, and has nothing to complain of', async (t) => {
    const context = await browser.newContext()
    windows.push(context)
    const page = await context.newPage()
    /** @type {Map<string, Promise<number>>} */
    const sizes = new Map()
    page.on('console', (entry) => {
      if (['error', 'warning'].includes(entry.type())) problems.push(entry.text())
    })
    page.on('response', (response) => {
      sizes.set(
        response.url(),
        response.body().then(({ length }) => length),
      )
    })
    await page.goto(service.url)
    await page.getByRole('button', { name: 'Log in' }).waitFor()
    await page.waitForLoadState('networkidle')
    const firstPaint = await page.evaluate(
      () =>
        new Promise((/** @type {(time: number) => void} */ resolve) => {
          const observer = new PerformanceObserver((list) => {
            list.getEntriesByName('first-contentful-paint').forEach(({ startTime }) => resolve(startTime))
          })
          observer.observe({ type: 'paint', buffered: true })
        }),
    )
    const size = (await Promise.all(sizes.values())).reduce((sum, each) => sum + each, 0)
    t.diagnostic(`${size} bytes in ${sizes.size} files; first contentful paint after ${Math.round(firstPaint)} ms`)
    assert.ok(sizes.size > 5)
    assert.ok(firstPaint < LONGEST_TO_FIRST_PAINT)
    assert.ok(size <= LARGEST_PAGE, `${size} bytes`)
  })
})

// People and windows

/**
 * Opens the page in a window that shares nothing with the others.
 *
 * @param {BrowserContextOptions} [options]
 */
async function open(options) {
  const window = await browser.newContext(options)
  windows.push(window)
  window.setDefaultTimeout(PATIENCE)
  const page = await window.newPage()
  page.on('pageerror', (error) => void problems.push(String(error)))
  page.on('dialog', (dialog) => {
    problems.push(`dialog: ${dialog.message()}`)
    dialog.dismiss()
  })
  page.on('console', (entry) => {
    // What the service refuses, or does not answer, is told by the browser itself.
    const isAnswer = /^(Failed to load resource|WebSocket connection to)/.test(entry.text())
    if (['error', 'warning'].includes(entry.type()) && !isAnswer) problems.push(entry.text())
  })
  await page.goto(service.url)
  return page
}

/** @param {Page} page @param {string} name */
async function fillSignIn(page, name, password = PASSWORD) {
  const main = page.getByRole('main')
  await main.getByLabel('Username').fill(name)
  await main.getByLabel('Password').fill(password)
}

/** @param {string} name @param {Page} [page] */
async function signUp(name, page) {
  page ??= await open()
  await fillSignIn(page, name)
  await page.getByRole('button', { name: 'Sign up' }).click()
  await page.getByRole('banner').waitFor()
  return page
}

/** @param {Page} page @param {string} name */
async function logIn(page, name, password = PASSWORD) {
  await fillSignIn(page, name, password)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('banner').waitFor()
}

/** Signs up two people, each in a window that shows the conversation with the other. @param {string[]} names */
async function talk(...names) {
  const pages = await Promise.all(names.map((name) => signUp(name)))
  await goTo(pages[0], `#/with/${names[1]}`)
  await goTo(pages[1], `#/with/${names[0]}`)
  return pages
}

/** @param {string} username */
function createUser(username) {
  return service.createUser(username, PASSWORD)
}

/** Dora's friends, and what they have written. */
async function populate() {
  const names = ['Dora', 'Abuela', 'Benny', 'Boots', 'Isa', 'Swiper', 'Tico']
  const users = await Promise.all(names.map(createUser))
  const [dora, abuela, benny, boots, isa, swiper, tico] = users
  /** @param {import('./service.js').User} reader @param {string} peer @param {number} id */
  const read = ({ username, token }, peer, id) =>
    service.call('/messages/read', { token, body: { sender: username, receiver: peer, id } })

  await service.send(swiper, 'Dora', 'You will never find your map now!')
  await read(dora, 'Swiper', 1)
  await service.call('/blocks', {
    token: dora.token,
    body: { username: 'Dora', peer: 'Swiper', blocked: true },
  })
  await service.send(dora, 'Tico', '¿Vienes a la fiesta el sábado?')
  await service.send(tico, 'Dora', '¡Claro que sí! Yo llevo las nueces.')
  await read(dora, 'Tico', 2)
  await service.send(dora, 'Dora', 'Bananas, rope, the blue star')
  await service.send(dora, 'Abuela', 'Abuela, how long does the chocolate have to cook?')
  await service.send(abuela, 'Dora', 'Until it sings, mi amor. Then five minutes more.')
  await service.send(isa, 'Dora', 'Come and see the garden!')
  await service.send(isa, 'Dora', 'שלום דורה! הפרחים פורחים')
  await service.send(benny, 'Dora', 'The balloon has a hole again …')
  const lines = [
    [boots, 'Dora! Have you seen my red boots?'],
    [dora, 'You are wearing them, Boots.'],
    [boots, 'Where are we going today?'],
    [dora, 'Over the troll’s bridge, through the rainforest,\nand up the tallest mountain.'],
    [boots, 'Does the Grumpy Old Troll let us across?'],
    [dora, 'With a riddle, as always. He has a new one, in Arabic:'],
    [dora, 'ما هو الشيء الذي كلما أخذت منه كبر؟'],
    [boots, 'What grows the more you take away from it? A hole!'],
    [dora, 'We did it! ¡Lo hicimos!'],
  ]
  for (const [sender, text] of /** @type {[import('./service.js').User, string][]} */ (lines)) {
    await service.send(sender, sender === dora ? 'Boots' : 'Dora', text)
  }
  await read(boots, 'Dora', lines.length - 1)
}

// What is to be seen

/** Waits until `look` sees what is expected. @template Seen @param {() => Promise<Seen>} look @param {Seen} expected */
async function eventually(look, expected) {
  const deadline = Date.now() + PATIENCE
  for (;;) {
    const seen = await look()
    if (isDeepStrictEqual(seen, expected)) return
    if (Date.now() > deadline) assert.deepEqual(seen, expected)
    await setTimeout(20)
  }
}

/** Follows a link to a part of the page. @param {Page} page @param {string} hash */
async function goTo(page, hash) {
  await page.evaluate((hash) => void (location.hash = hash), hash)
}

/** @param {Page} page @param {string} peer */
function inboxItem(page, peer) {
  return page.getByRole('navigation', { name: 'Conversations' }).getByRole('link', { name: new RegExp(`^${peer}\\b`) })
}

/** The list of a conversation. @param {Page} page */
function messages(page) {
  return page.getByRole('region', { name: 'Messages' })
}

/** What a message says. @param {Page} page @param {string} text */
function message(page, text) {
  return messages(page).getByText(text, { exact: true })
}

/** A message with all that belongs to it. @param {Page} page @param {string} text */
function item(page, text) {
  return messages(page).getByRole('listitem').filter({ hasText: text })
}

/** What is not sent yet. @param {Page} page */
function waiting(page) {
  return page.getByRole('list', { name: 'Not sent yet' }).getByRole('listitem')
}

/** What is shown as sent and to be sent. @param {Page} page */
function texts(page) {
  return messages(page).locator('.text').allInnerTexts()
}

/** Those of the user's own messages that are sent. @param {Page} page */
function ticks(page) {
  return messages(page).locator('.own .tick').allInnerTexts()
}

/** @param {Page} page @param {string} text */
async function send(page, text) {
  await page.getByRole('textbox', { name: 'Message' }).fill(text)
  await page.getByRole('button', { name: 'Send' }).click()
}

/**
 * Waits until the service has stored just these texts.
 *
 * @param {string} username
 * @param {string} peer
 * @param {string[]} texts
 */
async function areStored(username, peer, texts) {
  const user = await service.login(username, PASSWORD)
  const history = () => service.history(user, peer)
  await eventually(async () => (await history()).map(({ message }) => message), texts)
}

/** Waits until nothing scrolls or moves any more. @param {Page} page */
async function stillness(page) {
  await messages(page).evaluate(async (list) => {
    const look = () => `${list.scrollTop} ${list.scrollHeight}`
    const frames = 5
    for (let before = '', still = 0; still < frames;) {
      await new Promise(requestAnimationFrame)
      still = look() === before ? still + 1 : 0
      before = look()
    }
  })
}

/** The text of the first message that is wholly in view. @param {Page} page */
function firstInView(page) {
  return messages(page).evaluate((list) => {
    const { top } = list.getBoundingClientRect()
    const inView = [...list.querySelectorAll('.text')].find((text) => text.getBoundingClientRect().top >= top)
    return inView?.textContent
  })
}

/** @param {Page} page @param {string} text */
async function isInView(page, text) {
  const { bottom } = await messages(page).evaluate((list) => list.getBoundingClientRect().toJSON())
  return (await top(message(page, text))) < bottom
}

/** @param {Locator} locator */
function top(locator) {
  return locator.evaluate((element) => element.getBoundingClientRect().top)
}

/** @param {Locator} locator */
function directionOf(locator) {
  return locator.evaluate((element) => getComputedStyle(element).direction)
}

/** Whether an element has the focus, and shows it. @param {Locator} locator */
function focus(locator) {
  return locator.evaluate((element) => {
    if (element !== document.activeElement) return 'elsewhere'
    const { outlineStyle, outlineWidth } = getComputedStyle(element)
    return outlineStyle === 'solid' && parseFloat(outlineWidth) >= 2 ? 'visible' : 'invisible'
  })
}

/** What axe-core finds wrong with a page, by all of its rules up to level AA. @param {Page} page */
async function faults(page) {
  const runOnly = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice', 'experimental']
  const rules = { 'target-size': { enabled: true } }
  const { violations } = await new AxeBuilder({ page }).options({ runOnly, rules }).analyze()
  return violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html }) => html) }))
}
