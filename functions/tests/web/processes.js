import { readdirSync, readFileSync } from 'node:fs'

/** @param {number} parent */
export function childrenOf(parent) {
  const processes = readdirSync('/proc').map(Number).filter(Boolean)
  return processes.filter((pid) => status(pid)?.parent === parent)
}

/**
 * Whether the process is there, and more than a zombie that nobody has asked for its status.
 *
 * @param {number} pid
 */
export function isRunning(pid) {
  const { state } = status(pid) ?? {}
  return state !== undefined && state !== 'Z'
}

/** @param {number} pid */
function status(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // After the name, in which anything can be.
    const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { state, parent: Number(parent) }
  } catch {
    return undefined
  }
}
