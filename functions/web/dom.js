/** What the views of the page share: finding and filling elements, lists, and forms. */

import { ChatError } from './client.js'

/** The element of a selector, which is there. @param {string} selector @param {ParentNode} root @returns {any} */
export function find(selector, root = document) {
  const element = root.querySelector(selector)
  if (!element) throw new Error(`no ${selector}`)
  return element
}

/** A new element of a template. @param {string} id @returns {HTMLElement} */
export function create(id) {
  return find(`#${id}`).content.firstElementChild.cloneNode(true)
}

/**
 * Makes a list show items in their order. What was there before stays, with focus and selection.
 * @template Item @param {Element} list @param {Item[]} items @param {(item: Item) => string | number} key
 * @param {(item: Item) => HTMLElement} make @param {(element: HTMLElement, item: Item) => void} [fill]
 */
export function show(list, items, key, make, fill = () => {}) {
  const focused = /** @type {HTMLElement} */ (document.activeElement)
  const before = new Map(
    [...list.children].map((element) => [/** @type {HTMLElement} */ (element).dataset.key, element]),
  )
  let next = list.firstElementChild
  for (const item of items) {
    const name = String(key(item))
    const element = /** @type {HTMLElement} */ (before.get(name) ?? make(item))
    before.delete(name)
    element.dataset.key = name
    fill(element, item)
    if (element === next) next = element.nextElementSibling
    else list.insertBefore(element, next)
  }
  before.forEach((element) => element.remove())
  // An element that is moved loses it.
  if (list.contains(focused)) focused.focus({ preventScroll: true })
}

/**
 * Has a form do `work` with its fields and the value of the button, and shows what `work` says, or what is wrong.
 * @param {HTMLFormElement} form @param {(fields: Record<string, string>) => Promise<string | void>} work
 */
export function onSubmit(form, work) {
  const alert = find('[role=alert]', form)
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    if (form.ariaBusy) return
    const fields = Object.fromEntries(new FormData(form, event.submitter))
    const inputs = [...form.querySelectorAll('input')]
    inputs.forEach((input) => input.removeAttribute('aria-invalid'))
    alert.textContent = ''
    form.ariaBusy = 'true'
    try {
      alert.textContent = (await work(/** @type {Record<string, string>} */ (fields))) ?? ''
      alert.className = 'done'
      form.reset()
    } catch (error) {
      alert.textContent = describe(error)
      alert.className = ''
      const faults = error instanceof ChatError ? error.errors.map(({ field }) => field) : []
      const faulty = inputs.filter(({ name }) => faults.includes(name))
      faulty.forEach((input) => input.setAttribute('aria-invalid', 'true'))
      faulty[0]?.focus()
    }
    form.ariaBusy = null
  })
}

/** What went wrong, for people. @param {unknown} error */
export function describe(error) {
  if (!(error instanceof ChatError)) return String(error)
  // With several faults, the message says only that there are some.
  if (error.errors.length < 2) return error.message
  return error.errors.map(({ field, detail }) => `${field} ${detail}`).join('; ')
}

/** The time of day, with the date if that is not today's. @param {string} time */
export function shortTime(time) {
  const date = new Date(time)
  const isToday = date.toDateString() === new Date().toDateString()
  return date.toLocaleString([], { timeStyle: 'short', ...(!isToday && { dateStyle: 'medium' }) })
}

/** Fills a `time` element. @param {HTMLTimeElement} element @param {string} time */
export function fillTime(element, time) {
  if (element.dateTime === time) return
  element.dateTime = time
  element.textContent = shortTime(time)
}

/** Calls `work` once after all that happens at one moment. @param {() => void} work */
export function soon(work) {
  let isDue = false
  return () => {
    if (isDue) return
    isDue = true
    queueMicrotask(() => {
      isDue = false
      work()
    })
  }
}
