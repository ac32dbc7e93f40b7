// tests/conformance/phoenix/wire.mjs -- Phoenix messages, written and read by this file alone.
//
// A message is [join_ref, ref, topic, event, payload]. A payload of bytes is a Buffer. How a message travels is
// a *form*: transport and serializer.
//
//   ws2  WebSocket, V2: arrays, and frames for bytes       lp2  long-poll, V2: arrays; frames up in base64
//   ws1  WebSocket, V1: objects                             lp1  long-poll, V1
export const forms = ['ws2', 'lp2', 'ws1', 'lp1']
export const isPoll = (form) => form.startsWith('lp')
export const isV1 = (form) => form.endsWith('1')
export const vsnOf = (form) => (isV1(form) ? '1.0.0' : '2.0.0')

/** JSON in which numbers stay what they are as text. */
export const parse = (text) => JSON.parse(text, (_, value, { source }) => (typeof value === 'number' ? `#${source}` : value))

const field = (name) => (name === null ? Buffer.alloc(0) : Buffer.from(name))

/** A binary push of a client. A reference that is null is written as an empty one. */
export function frame([joinRef, ref, topic, event], data) {
  const names = [joinRef, ref, topic, event].map(field)
  return Buffer.concat([Buffer.from([0, ...names.map((name) => name.length)]), ...names, data])
}

/** A message written in V2 without needless spaces, as the form has it; its payload stays as it is written. */
export function translate(form, text) {
  if (!isV1(form)) return text
  const [joinRef, ref, topic, event] = JSON.parse(text).map((item) => JSON.stringify(item))
  const head = `[${joinRef},${ref},${topic},${event},`
  if (!text.startsWith(head)) throw new Error(`cannot be translated to V1: ${text}`)
  const old = joinRef === 'null' ? '' : `,"join_ref":${joinRef}`
  return `{"topic":${topic},"event":${event},"ref":${ref}${old},"payload":${text.slice(head.length, -1)}}`
}

/** A frame of a server. */
export function decodeFrame(bytes) {
  const layouts = [['joinRef', 'topic', 'event'], ['joinRef', 'ref', 'topic', 'status'], ['topic', 'event']]
  const layout = layouts[bytes[0]]
  let at = 1 + layout.length
  const names = {}
  layout.forEach((name, i) => {
    names[name] = bytes.toString('utf8', at, at + bytes[1 + i])
    at += bytes[1 + i]
  })
  const data = bytes.subarray(at)
  return { kind: ['push', 'reply', 'broadcast'][bytes[0]], ...names, data: data.toString('hex') }
}

/** What came, in a shape that can be compared: frames as objects, V1 as [any, ref, topic, event, payload]. */
export function decode(form, data, isBinary) {
  if (isBinary) return decodeFrame(data)
  const message = parse(data)
  if (!isV1(form)) return message
  const names = Object.keys(message).sort().join()
  if (names !== 'event,payload,ref,topic') throw new Error(`V1 has topic, event, payload and ref, not ${names}`)
  return ['*', message.ref, message.topic, message.event, message.payload]
}

/** What should come, in that shape. A payload of bytes is a frame only where there are frames. */
export function expectation(form, message) {
  if (message.kind === undefined) return isV1(form) ? ['*', ...message.slice(1)] : message
  if (form === 'ws2') return message
  const { kind, joinRef = null, ref = null, topic, event, status, data } = message
  const b64 = { b64: Buffer.from(data, 'hex').toString('base64') }
  const text = kind === 'reply' ? [joinRef, ref, topic, 'phx_reply', { status, response: b64 }] : [joinRef, ref, topic, event, b64]
  return expectation(form, text)
}

/** Whether `got` is as `expected` says, in which "*" stands for anything and the member "*" for any others. */
export function matches(expected, got) {
  if (expected === '*') return true
  if (expected === null || typeof expected !== 'object') return Object.is(expected, got)
  if (got === null || typeof got !== 'object' || Array.isArray(expected) !== Array.isArray(got)) return false
  const names = Object.keys(expected).filter((name) => name !== '*')
  if (!('*' in expected) && names.length !== Object.keys(got).length) return false
  return names.every((name) => Object.hasOwn(got, name) && matches(expected[name], got[name]))
}
