// tests/conformance/phoenix/handshakes.mjs -- requests that begin a connection, and how they are answered.
//
// A row is a title, what differs from a good request, and what must come: a status of HTTP; for long-poll the status
// in the body; |protocol|, the subprotocol that was chosen.
import { request } from 'node:http'

const token = `phoenix, base64url.bearer.phx.${Buffer.from('jwt.token.x').toString('base64').replace(/=+$/, '')}`

const versions = [
  ['vsn=2.0.0', true], ['vsn=2.0.7', true], ['vsn=1.0.0', true], ['vsn=1.0.3', true], ['', true], ['u=1&nest%5Ba%5D=1&vsn=2.0.0', true],
  ['vsn=9.0.0&vsn=2.0.0', true], ['vsn=', false], ['vsn=2', false], ['vsn=2.0', false], ['vsn=2.1.0', false], ['vsn=1.1.0', false],
  ['vsn=3.0.0', false], ['vsn=9.0.0', false], ['vsn=two', false], ['vsn=2.0.x', false], ['vsn=2.0.0&vsn=9.0.0', false], ['vsn=2.0.0-rc.1', false],
  ['vsn=%202.0.0', false], ['vsn=%32.0.0', false, ' (D10)'], ['vsn[]=2.0.0', true, ' (D10)'],
]

export const handshakes = [
  ...versions.map(([query, isGood, note = '']) => [`WebSocket with "${query}"${note}`, { query }, { http: isGood ? 101 : 403 }]),
  ...versions.map(([query, isGood, note = '']) => [`long-poll with "${query}"${note}`, { poll: true, query }, { http: 200, status: isGood ? 410 : 403 }]),
  ['a GET that asks for no WebSocket', { headers: { Upgrade: null, Connection: null } }, { http: 400 }],
  ['a POST', { method: 'POST', headers: { Upgrade: null, Connection: null } }, { http: 400 }],
  ['a token: the protocol is phoenix, and the token is not repeated', { headers: { 'Sec-WebSocket-Protocol': token } }, { http: 101, protocol: 'phoenix' }],
  ['phoenix alone', { headers: { 'Sec-WebSocket-Protocol': 'phoenix' } }, { http: 101, protocol: 'phoenix' }],
  ['a token first', { headers: { 'Sec-WebSocket-Protocol': token.split(', ').reverse().join(', ') } }, { http: 101, protocol: 'phoenix' }],
  ['a token in padded base64 with + and /', { headers: { 'Sec-WebSocket-Protocol': 'phoenix, base64url.bearer.phx.+/8=' } }, { http: 101, protocol: 'phoenix' }],
  ['a protocol that nobody knows is ignored', { headers: { 'Sec-WebSocket-Protocol': 'graphql-ws' } }, { http: 101, protocol: undefined }],
  ['no protocol', {}, { http: 101, protocol: undefined }],
  ['no origin: not a page', { headers: {} }, { http: 101 }],
  ['a page of this machine', { headers: { Origin: 'http://localhost:5173' } }, { http: 101 }],
  ['a page of another site', { headers: { Origin: 'http://evil.example' } }, { http: 403 }],
  ['a page of nowhere', { headers: { Origin: 'null' } }, { http: 403 }],
  ['a long-poll page of another site', { poll: true, headers: { Origin: 'http://evil.example' } }, { http: 200, status: 403 }],
  ['a long-poll token in its header', { poll: true, headers: { 'X-Phoenix-AuthToken': 'jwt.token.x' } }, { http: 200, status: 410 }],
  ['long-poll by DELETE', { poll: true, method: 'DELETE' }, { http: 400 }],
].map(([name, ask, due]) => ({ name, ask, due }))

/** Asks and resolves with { http, status, protocol }. */
export function handshake(server, { poll = false, query = 'vsn=2.0.0', method = 'GET', headers = {} }) {
  const upgrade = poll ? {} : { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' }
  const all = Object.entries({ ...upgrade, ...headers }).filter(([, value]) => value !== null)
  const path = `/socket/${poll ? 'longpoll' : 'websocket'}${query === '' ? '' : `?${query}`}`
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: server.port, method, path, agent: false, headers: Object.fromEntries(all) })
    asked.on('error', reject)
    asked.on('upgrade', (response, socket) => {
      socket.on('error', () => {}).destroy()
      resolve({ http: response.statusCode, protocol: response.headers['sec-websocket-protocol'] })
    })
    asked.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (piece) => (text += piece)).on('end', () => {
        resolve({ http: response.statusCode, status: poll && text !== '' ? JSON.parse(text).status : undefined })
      })
    })
    asked.end()
  })
}
