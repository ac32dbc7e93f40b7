// Objects of the catalogue in a page: a part of the client that is loaded when the first one is opened.
import { createCrdtsWith, type Catalogue } from '../crdt.ts'
import { crdtTypes, type CrdtType } from '../crdt_types.gen.ts'
import { LaniakeaError } from '../errors.ts'
import type { Modules } from '../instance.ts'
import { TopicHandle, type CrdtTopic, type Shared, type SharedReplica } from './client.ts'
import type { Bytes } from './protocol.ts'
import { freshSeat } from './seats.ts'
import type { PageTopic, ReplicaPort } from './topic.ts'

/** What an object of the catalogue has beside the methods of its type. */
type CrdtFace = { version(): Bytes; diffSince(version: Uint8Array): Bytes; merge(bytes: Uint8Array): boolean; rename(actor: string): void; reset(actor: string): void; revive(): void; close(): void }

/** The number of a type. Throws LK_ERR_UNKNOWN_TYPE. */
export function kindOf(type: CrdtType): number {
  if (!Object.hasOwn(crdtTypes, type)) throw new LaniakeaError('LK_ERR_UNKNOWN_TYPE', String(type))
  return crdtTypes[type].number
}

/** The objects of a page. A trap costs what the call that trapped was about to do: another instance takes from the hub what was
 * changed before. */
export class PageCrdts {
  readonly #catalogue: Catalogue
  readonly #replicas = new Map<CrdtFace, () => PageTopic>()

  static async load(modules: Modules, onRebuilt: () => void): Promise<PageCrdts> {
    return new PageCrdts(modules, await createCrdtsWith(...modules), onRebuilt)
  }

  private constructor(modules: Modules, catalogue: Catalogue, onRebuilt: () => void) {
    this.#catalogue = catalogue
    catalogue.supervise(modules, () => {
      onRebuilt()
      for (const [object, page] of this.#replicas) {
        object.revive()
        page().revive()
      }
    })
  }

  /** `mayChange` throws where nothing is to be changed. */
  makeReplica(type: CrdtType, shared: Shared, mayChange: (page: PageTopic | undefined) => void): SharedReplica {
    const object = this.#catalogue.create(type, {
      actor: shared.own,
      onDelta: (delta) => shared.page?.changed(delta),
      mayChange: () => mayChange(shared.page),
    }) as unknown as CrdtFace
    this.#replicas.set(object, () => shared.page)
    const port: ReplicaPort = {
      version: () => object.version(),
      since: (version) => object.diffSince(version),
      merge: (bytes) => void object.merge(bytes),
      // What it made so far is forgotten: so is the name.
      reset: () => {
        shared.own = freshSeat().name
        object.reset(shared.own)
      },
    }
    const close = (): void => {
      this.#replicas.delete(object)
      object.close()
    }
    return { face: object, port, close, rename: (actor) => object.rename(actor) }
  }

  makeHandle<K extends CrdtType>(shared: Shared): CrdtTopic<K> {
    return new CrdtHandle(shared) as unknown as CrdtTopic<K>
  }

  close(): void {
    this.#catalogue.close()
  }
}

class CrdtHandle extends TopicHandle {
  get object(): unknown {
    return this.shared.replica?.face
  }
}
