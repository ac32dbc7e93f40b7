// Under which name a page changes objects.
//
// A name that a device uses again and again keeps objects small: they remember each name that ever changed them. But no two
// replicas may use one name at a time, nor one of them a name whose changes it does not know. So a device has seats, each taken by
// one page at a time under a Web Lock; a page that sits down reads all topics from the diary first, in which is everything that
// left the device under that name. In each topic the seat has another name: the diary's for the topic, which is drawn anew when the topic
// is begun anew or the diary is another one, and the place of the seat behind it. Where there are no locks, or nothing is kept, a page takes a name that nobody uses again.
import { newDeviceName } from './files.ts'

export interface Seat {
  readonly name: string
  /** Where it is on this device. */
  readonly place: string
  /** It is used again: what is made under it waits until it is recorded. */
  readonly isKept: boolean
}

const SEATS_MAX = 64

/** Of pages in this process, where there are no locks. */
const taken = new Set<string>()

export function freshSeat(): Seat {
  return { name: newDeviceName(), place: '', isKept: false }
}

/** The first that is free. It is held until `left` resolves, or the page ends. */
export async function takeSeat(device: string, left: Promise<void>): Promise<Seat> {
  try {
    for (let i = 0; i < SEATS_MAX; i++) {
      const place = i.toString(36)
      const name = `${device}.${place}`
      if (await hold(`laniakea seat ${name}`, left)) return { name, place, isKept: true }
    }
  } catch {
    // Locks are refused here: nobody could tell whose seat it is.
  }
  return freshSeat()
}

async function hold(name: string, left: Promise<void>): Promise<boolean> {
  const { locks } = globalThis.navigator ?? {}
  if (locks === undefined) {
    if (taken.has(name)) return false
    taken.add(name)
    void left.then(() => taken.delete(name))
    return true
  }
  return new Promise((resolve, reject) => {
    locks.request(name, { ifAvailable: true }, (held) => {
      resolve(held !== null)
      return held === null ? undefined : left
    }).catch(reject)
  })
}
