// bench/crdt/shared/sets.mjs -- one face for sets of strings: the SDK's, the naive one, and what comes closest to
// a set in libraries of others, the keys of a map. Each is loaded where it is asked for, so that a
// process which measures memory holds one of them.
//
//   const { title, make } = await load('yjs')
//   const set = make('replica-1')
//   set.change(() => set.add('blue'))       changes that belong together; add and remove only in here
//
// Those of which `diffs` is true also make a replica of another one, and tell what it lacks:
//
//   const other = set.fork('replica-2')
//   const seen = set.version()
//   set.merge(other.diffSince(seen))

const loaders = {
  async sdk() {
    const { createCrdts } = await import('../../../js/packages/sdk/dist/node.js')
    const crdts = await createCrdts()
    const wrap = (set) => ({
      change: (body) => void set.batch(body),
      add: (element) => set.add(element),
      remove: (element) => set.remove(element),
      count: () => set.value.length,
      fork(actor) {
        const other = crdts.create('orset', { actor })
        other.merge(set.encode())
        return wrap(other)
      },
      version: () => set.version(),
      diffSince: (version) => set.diffSince(version),
      merge: (delta) => void set.merge(delta),
    })
    return { title: 'Laniakea', make: (actor) => wrap(crdts.create('orset', { actor })), step: 100, diffs: true }
  },

  async naive() {
    const { TagSet } = await import('./naive.mjs')
    const wrap = (set) => ({
      change: (body) => body(),
      add: (element) => set.add(element),
      remove: (element) => set.remove(element),
      count: () => set.value.length,
    })
    return { title: 'naive JavaScript', make: (actor) => wrap(new TagSet(actor)), step: 100 }
  },

  async yjs() {
    const Y = await import('yjs')
    const wrap = (doc, map = doc.getMap('set')) => ({
      change: (body) => doc.transact(body),
      add: (element) => map.set(element, true),
      remove: (element) => map.delete(element),
      count: () => map.size,
      fork() {
        const other = new Y.Doc()
        Y.applyUpdate(other, Y.encodeStateAsUpdate(doc))
        return wrap(other)
      },
      version: () => Y.encodeStateVector(doc),
      diffSince: (version) => Y.encodeStateAsUpdate(doc, version),
      merge: (delta) => Y.applyUpdate(doc, delta),
    })
    return { title: 'Yjs', make: () => wrap(new Y.Doc()), step: 100, diffs: true }
  },

  // Changes of 1,000 keys: with those of 100 filling takes half a minute, with one of all 100,000 memory is seven
  // times as much. Keys are last-writer-wins there.
  async automerge() {
    const A = await import('@automerge/automerge')
    const wrap = (doc) => {
      let changing
      return {
        change(body) {
          doc = A.change(doc, (draft) => {
            changing = draft
            body()
          })
        },
        add: (element) => (changing[element] = true),
        remove: (element) => delete changing[element],
        count: () => Object.keys(doc).length,
        fork: () => wrap(A.clone(doc)),
        version: () => A.getHeads(doc),
        diffSince: (heads) => A.saveSince(doc, heads),
        merge: (delta) => (doc = A.loadIncremental(doc, delta)),
      }
    }
    return { title: 'Automerge', make: () => wrap(A.from({})), step: 1000, diffs: true }
  },

  // Keys are last-writer-wins here too: nothing of an earlier add or remove has to be kept.
  async jsonJoy() {
    const { default: joy } = await import('json-joy/lib/json-crdt/index.js')
    const wrap = (model) => ({
      change(body) {
        body()
        model.api.flush()
      },
      add: (element) => model.api.obj([]).set({ [element]: true }),
      remove: (element) => model.api.obj([]).del([element]),
      count: () => Object.keys(model.view()).length,
    })
    return { title: 'json-joy', make: () => wrap(joy.Model.create({})), step: 100 }
  },
}

export const load = (name) => loaders[name]()
