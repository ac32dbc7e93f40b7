// tests/conformance/phoenix/scripts.mjs -- what an application does with phoenix.js, and all that it then sees.
//
// A row is a title, the script, what must have happened, and the forms, where that is not all four. What happened
// is a list of lines, in order:
//
//   > [join_ref,ref,topic,event,payload]      the client sends, as it tells its logger
//   < [join_ref,ref,topic,event,payload]      a message came
//   anything else                             said by the script: s.say(), and s.did() for what became of a push
//
// References are numbered in the order in which they are first seen, since those of phoenix.js depend on how many
// callbacks were set. Bytes are written "bytes 0102". V1 has no join_ref from the server: there < has null.
const ok = '{"status":"ok","response":{}}'
const join = (n, topic, params = '{}') => `> ["${n}","${n}","${topic}","phx_join",${params}]`
const joined = (n, topic, response = '{}') => `< ["${n}","${n}","${topic}","phx_reply",{"status":"ok","response":${response}}]`
const pushed = (j, n, topic, event, payload = '{}') => [`> ["${j}","${n}","${topic}",${JSON.stringify(event)},${payload}]`, `< ["${j}","${n}","${topic}","phx_reply",${ok}]`]
const left = (j, n, topic) => [`> ["${j}","${n}","${topic}","phx_leave",{}]`, `< ["${j}","${n}","${topic}","phx_reply",${ok}]`, `< ["${j}","${j}","${topic}","phx_close",{}]`]
const hello = [join(1, 'relay:x'), joined(1, 'relay:x'), 'phx_join ok {}']
const sockets = ['ws2', 'ws1']
const polls = ['lp2', 'lp1']
const buffer = (...numbers) => new Uint8Array(numbers).buffer

export const scripts = [
  ['a channel is joined', async (s) => {
    await s.did(s.channel('relay:x').join())
  }, hello],

  ['params go with the join', async (s) => {
    await s.did(s.channel('relay:x', { name: 'é', nested: [1, { a: null }] }).join())
  }, [join(1, 'relay:x', '{"name":"é","nested":[1,{"a":null}]}'), joined(1, 'relay:x'), 'phx_join ok {}']],

  ['a room answers a join with what it has', async (s) => {
    const response = await s.answer(s.channel('crdt:x').join())
    s.say(Object.keys(response).sort().join(), response.value)
  }, [join(1, 'crdt:x'), `< ["1","1","crdt:x","phx_reply","*"]`, 'counts,level,replica,state,type,value 0']],

  ['a push is answered', async (s) => {
    const channel = await s.joined('relay:x')
    await s.did(channel.push('say', { n: 1 }))
  }, [...hello, ...pushed(1, 2, 'relay:x', 'say', '{"n":1}'), 'say ok {}']],

  ['pushes at once are answered in order', async (s) => {
    const channel = await s.joined('relay:x')
    s.quiet()
    const order = []
    await Promise.all(Array.from({ length: 250 }, (_, i) => new Promise((resolve) => channel.push('say', { i }).receive('ok', () => resolve(order.push(i))))))
    s.say(order.length, order.every((number, i) => number === i))
  }, [...hello, '250 true']],

  ['a push that a room refuses is an error', async (s) => {
    const channel = await s.joined('crdt:x')
    s.quiet()
    await s.did(channel.push('nonsense', {}), ({ reason }) => reason)
    await s.did(channel.push('crdt.increment', { payload: { amount: 3 } }), ({ value }) => value)
    s.say(channel.state)
  }, [join(1, 'crdt:x'), '< ["1","1","crdt:x","phx_reply","*"]', 'phx_join ok *', 'nonsense error LK_ERR_UNKNOWN_EVENT', 'crdt.increment ok 3', 'joined']],

  ['a push before the join was answered waits for it', async (s) => {
    const channel = s.channel('relay:x')
    const push = (channel.join(), channel.push('say', { early: true }))
    await s.did(push)
  }, [join(1, 'relay:x'), joined(1, 'relay:x'), ...pushed(1, 2, 'relay:x', 'say', '{"early":true}'), 'say ok {}']],

  ['what is pushed before the connection is there is sent when it is', async (s) => {
    const channel = s.channel('relay:x', {}, { connect: false })
    channel.join()
    const pushes = [channel.push('one', {}), channel.push('two', {})]
    s.say(s.socket.connectionState())
    s.socket.connect()
    await Promise.all(pushes.map((push) => s.answer(push)))
    s.say(s.socket.connectionState())
  }, [join(1, 'relay:x'), 'closed', joined(1, 'relay:x'), '> ["1","2","relay:x","one",{}]', '> ["1","3","relay:x","two",{}]',
    `< ["1","2","relay:x","phx_reply",${ok}]`, `< ["1","3","relay:x","phx_reply",${ok}]`, 'open']],

  ['a push to a channel that was not joined throws', async (s) => {
    try {
      s.channel('relay:x').push('say', {})
    } catch ({ message }) {
      s.say(message.includes('before joining'))
    }
  }, ['true']],

  ['leaving closes the channel', async (s) => {
    const channel = await s.joined('relay:x')
    channel.onClose((reason) => s.say('closed', reason))
    await s.did(channel.leave())
    await s.until(() => s.count('phx_close') === 1)
    s.say(channel.state, s.socket.channels.length)
  }, [...hello, '> ["1","2","relay:x","phx_leave",{}]', 'closed leave', 'phx_leave ok {}', `< ["1","2","relay:x","phx_reply",${ok}]`, '< ["1","1","relay:x","phx_close",{}]', 'closed 0']],

  ['after leaving, the topic can be joined by another channel', async (s) => {
    await s.answer((await s.joined('relay:x')).leave())
    await s.until(() => s.count('phx_close') === 1)
    const channel = await s.joined('relay:x')
    await s.did(channel.push('say', {}))
  }, [...hello, ...left(1, 2, 'relay:x'), join(3, 'relay:x'), joined(3, 'relay:x'), 'phx_join ok {}', ...pushed(3, 4, 'relay:x', 'say'), 'say ok {}']],

  ['a second channel of a topic makes phoenix.js leave the first', async (s) => {
    const first = await s.joined('relay:x')
    const second = s.channel('relay:x')
    await s.answer(second.join())
    await s.until(() => s.count('phx_close') === 1)
    s.say(first.state, second.state)
    await s.did(second.push('say', {}))
  }, [...hello, '> ["1","2","relay:x","phx_leave",{}]', join(3, 'relay:x'), `< ["1","2","relay:x","phx_reply",${ok}]`, '< ["1","1","relay:x","phx_close",{}]',
    joined(3, 'relay:x'), 'closed joined', ...pushed(3, 4, 'relay:x', 'say'), 'say ok {}'], ['ws2', 'lp2']],

  ['a topic without a room is an error, and is tried again until the application leaves', async (s) => {
    const channel = s.channel('nope:x')
    s.quiet()
    let refusals = 0
    channel.join().receive('error', ({ reason }) => {
      refusals++
      if (refusals === 3) s.say(reason, channel.state)
      if (refusals === 3) channel.leave()
    })
    await s.until(() => refusals === 3)
    await s.pause(60)
    s.say(refusals, channel.state)
  }, ['unmatched topic errored', '3 closed']],

  ['one topic too many is an error, and the others go on', async (s) => {
    s.quiet()
    const channels = Array.from({ length: 100 }, (_, i) => s.channel(`relay:${i}`))
    await Promise.all(channels.map((channel) => s.answer(channel.join())))
    const last = s.channel('relay:more')
    await s.did(last.join())
    await s.answer(last.leave())
    await s.did(channels[99].push('say', {}))
  }, ['phx_join error {"reason":"too many channels joined"}', 'say ok {}'], ['ws2', 'lp2']],

  ['others hear what one pushes, with the same event and payload', async (s) => {
    const other = await s.other('relay:x')
    const channel = await s.joined('relay:x')
    await s.answer(channel.push('news', { text: 'é' }))
    await s.until(() => other.heard.length === 1)
    s.quiet()
    s.say(JSON.stringify(other.heard))
  }, [...hello, ...pushed(1, 2, 'relay:x', 'news', '{"text":"é"}'), '[["news",{"text":"é"}]]']],

  ['one hears what others push, and what was bound to it is called in order', async (s) => {
    const channel = await s.joined('relay:x')
    const ref = channel.on('news', () => s.say('off'))
    channel.off('news', ref)
    channel.on('news', ({ n }) => s.say('first', n))
    channel.on('news', ({ n }) => s.say('second', n))
    const other = await s.other('relay:x')
    await s.answer(other.channel.push('news', { n: 7 }))
    await s.until(() => s.count('news') === 1)
  }, [...hello, '< [null,null,"relay:x","news",{"n":7}]', 'first 7', 'second 7']],

  ['onMessage may change what comes', async (s) => {
    const channel = await s.joined('relay:x')
    channel.onMessage = (event, payload) => (event === 'news' ? { ...payload, seen: true } : payload)
    channel.on('news', (payload) => s.say(JSON.stringify(payload)))
    const other = await s.other('relay:x')
    await s.answer(other.channel.push('news', { n: 7 }))
    await s.until(() => s.count('news') === 1)
  }, [...hello, '< [null,null,"relay:x","news",{"n":7}]', '{"n":7,"seen":true}']],

  ['channels on one socket hear their own topic', async (s) => {
    const [x, y] = [await s.joined('relay:x'), await s.joined('relay:y')]
    s.quiet()
    x.on('news', () => s.say('x'))
    y.on('news', () => s.say('y'))
    const other = await s.other('relay:y')
    await s.answer(other.channel.push('news', {}))
    await s.answer(x.push('say', {}))
    await s.answer(y.push('say', {}))
  }, [...hello, join(2, 'relay:y'), joined(2, 'relay:y'), 'phx_join ok {}', 'y']],

  ['bytes are pushed and answered', async (s) => {
    const channel = await s.joined('relay:x')
    await s.did(channel.push('bin', buffer(1, 2, 255)))
  }, [...hello, '> ["1","2","relay:x","bin","bytes 0102ff"]', `< ["1","2","relay:x","phx_reply",${ok}]`, 'bin ok {}'], ['ws2', 'lp2']],

  ['bytes are heard as bytes where there are frames', async (s) => {
    const channel = await s.joined('relay:x')
    channel.on('bb', (payload) => s.say(s.write(payload)))
    const other = await s.other('relay:x')
    await s.answer(other.channel.push('bb', buffer(7, 7, 255)))
    await s.until(() => s.count('bb') === 1)
  }, [...hello, '< [null,null,"relay:x","bb","bytes 0707ff"]', '"bytes 0707ff"'], ['ws2']],

  ['bytes are heard in base64 where there are no frames (D2)', async (s) => {
    const channel = await s.joined('relay:x')
    channel.on('bb', ({ b64 }) => s.say(Buffer.from(b64, 'base64').toString('hex')))
    const other = await s.other('relay:x', 'ws2')
    await s.answer(other.channel.push('bb', buffer(7, 7, 255)))
    await s.until(() => s.count('bb') === 1)
  }, [...hello, '< [null,null,"relay:x","bb",{"b64":"Bwf/"}]', '0707ff'], ['lp2', 'lp1', 'ws1']],

  ['a topic, an event and a payload of many alphabets', async (s) => {
    const channel = await s.joined('relay:数é😀')
    const other = await s.other('relay:数é😀')
    await s.did(channel.push('événement', { 'ключ': '値\u2028' }))
    await s.until(() => other.heard.length === 1)
    s.say(JSON.stringify(other.heard))
  }, [join(1, 'relay:数é😀'), joined(1, 'relay:数é😀'), 'phx_join ok {}', ...pushed(1, 2, 'relay:数é😀', 'événement', '{"ключ":"値\u2028"}'), 'événement ok {}',
    '[["événement",{"ключ":"値\u2028"}]]']],

  ['bytes with names that are not ASCII', async (s) => {
    const channel = await s.joined('relay:数é😀')
    const other = await s.other('relay:数é😀', 'ws2')
    await s.did(channel.push('événement', buffer(0)))
    await s.until(() => other.heard.length === 1)
    s.say(JSON.stringify(other.heard))
  }, [join(1, 'relay:数é😀'), joined(1, 'relay:数é😀'), 'phx_join ok {}', '> ["1","2","relay:数é😀","événement","bytes 00"]', `< ["1","2","relay:数é😀","phx_reply",${ok}]`,
    'événement ok {}', '[["événement","bytes 00"]]'], ['ws2', 'lp2']],

  ['an event of 255 bytes can carry bytes, one of 256 is refused by phoenix.js itself', async (s) => {
    const channel = await s.joined('relay:x')
    s.quiet()
    await s.answer(channel.push('e'.repeat(255), buffer(1)))
    try {
      channel.push('e'.repeat(256), buffer(1), 1)
    } catch ({ message }) {
      s.say(message.includes('255'))
    }
  }, [...hello, 'true'], ['ws2', 'lp2']],

  ['heartbeats are answered for as long as it takes', async (s) => {
    s.open({ heartbeatIntervalMs: 40 })
    await s.until(() => s.count('"heartbeat"') >= 4)
    s.quiet()
    s.say(s.socket.connectionState(), s.notes.slice(0, 4).join(' '))
  }, [`open > [null,"1","phoenix","heartbeat",{}] < [null,"1","phoenix","phx_reply",${ok}] > [null,"2","phoenix","heartbeat",{}] < [null,"2","phoenix","phx_reply",${ok}]`], sockets,
  { only: /^open/ }],

  ['a ping is answered', async (s) => {
    s.open()
    await s.until(() => s.socket.isConnected())
    s.say(await new Promise((resolve) => s.socket.ping(resolve)) >= 0)
  }, ['> [null,"1","phoenix","heartbeat",{}]', `< [null,"1","phoenix","phx_reply",${ok}]`, 'true']],

  ['a client that disconnects is not connected, and leaves its rooms', async (s) => {
    const other = await s.other('relay:x')
    const channel = await s.joined('relay:x')
    s.socket.onClose(({ code }) => s.say('close', code))
    await new Promise((resolve) => s.socket.disconnect(resolve))
    await s.until(() => s.notes.includes('close 1005'))
    s.say(s.socket.connectionState(), channel.state)
    await s.answer(other.channel.push('say', {}))
  }, [...hello, 'close 1005', 'closed errored']],

  ['who connects again joins again', async (s) => {
    const channel = await s.joined('relay:x')
    await new Promise((resolve) => s.socket.disconnect(resolve))
    s.socket.connect()
    await s.until(() => channel.state === 'joined')
    await s.did(channel.push('say', {}))
  }, [...hello, join(2, 'relay:x'), joined(2, 'relay:x'), ...pushed(2, 3, 'relay:x', 'say'), 'say ok {}']],

  ['what is pushed while not connected is sent after joining again', async (s) => {
    const channel = await s.joined('relay:x')
    await new Promise((resolve) => s.socket.disconnect(resolve))
    const push = channel.push('late', { n: 1 })
    s.socket.connect()
    await s.did(push)
  }, [...hello, join(2, 'relay:x'), joined(2, 'relay:x'), ...pushed(2, 3, 'relay:x', 'late', '{"n":1}'), 'late ok {}']],

  ['a connection that the server ends is made again, and its channels are joined', async (s) => {
    const channel = await s.joined('relay:x')
    channel.onError((reason) => s.say('error', JSON.stringify(reason)))
    s.socket.onClose(({ code }) => s.say('close', code))
    s.socket.conn.send('nonsense')
    await s.until(() => s.notes.some((note) => note.startsWith('close')) && channel.state === 'joined')
    await s.did(channel.push('say', {}))
  }, [...hello, 'error {"source":"transport","reason":"connection_closed"}', 'close 1008', join(2, 'relay:x'), joined(2, 'relay:x'), ...pushed(2, 3, 'relay:x', 'say'), 'say ok {}'],
  sockets],

  ['a poll that the server ends is begun again, and its channels are joined', async (s) => {
    const channel = await s.joined('relay:x')
    channel.onError((reason) => s.say('error', JSON.stringify(reason)))
    s.socket.conn.send('nonsense')
    await s.until(() => s.notes.some((note) => note.startsWith('error')) && channel.state === 'joined')
    await s.did(channel.push('say', {}))
  }, [...hello, 'error {"source":"transport","reason":"connection_error"}', join(2, 'relay:x'), joined(2, 'relay:x'), ...pushed(2, 3, 'relay:x', 'say'), 'say ok {}'], polls],

  ['params of the socket go into its address, nested ones too', async (s) => {
    s.open({ params: { u: '1', nest: { a: 1 }, 'é': '&=' } })
    s.say(new URL(s.socket.endPointURL()).search)
    await s.did(s.channel('relay:x').join())
  }, ['?u=1&nest%5Ba%5D=1&%C3%A9=%26%3D&vsn=2.0.0', ...hello], ['ws2', 'lp2']],

  ['a token goes with the handshake', async (s) => {
    s.open({ authToken: 'jwt.token.x' })
    await s.did(s.channel('relay:x').join())
    s.say(s.socket.conn.protocol)
  }, [...hello, 'phoenix'], sockets],

  ['a token goes with each poll', async (s) => {
    s.open({ authToken: () => 'jwt.token.x' })
    await s.did(s.channel('relay:x').join())
  }, hello, polls],

  ['a serializer that is not served is refused', async (s) => {
    s.open({ vsn: '9.0.0' })
    const closed = new Promise((resolve) => s.socket.onClose(({ code }) => resolve(code)))
    s.say(await closed)
  }, ['1006'], ['ws2']],

  ['a serializer that is not served is refused, and the poll ends', async (s) => {
    s.open({ vsn: '9.0.0' })
    s.socket.onError((error) => s.say('error', error))
    const closed = new Promise((resolve) => s.socket.onClose(({ code }) => resolve(code)))
    s.say('close', await closed)
    s.socket.disconnect()
  }, ['error 403', 'close 1008'], ['lp2']],

  ['where no WebSocket comes through, long-poll takes its place', async (s) => {
    s.open({ transport: s.brokenTransport, longPollFallbackMs: 5000 })
    await s.did(s.channel('relay:x').join())
    s.say(s.socket.transportName(s.socket.transport))
  }, [...hello, 'LongPoll'], ['lp2']],

  ['where a WebSocket comes through, it stays', async (s) => {
    s.open({ longPollFallbackMs: 5000 })
    await s.until(() => s.socket.primaryPassedHealthCheck)
    s.quiet()
    await s.did(s.channel('relay:x').join())
    s.say(s.socket.transportName(s.socket.transport))
  }, ['phx_join ok {}', 'WebSocket'], ['ws2'], { only: /^(phx_join|WebSocket)/ }],

  ['leaving while joining ends both', async (s) => {
    s.open()
    await s.until(() => s.socket.isConnected())
    const channel = s.channel('relay:x')
    channel.join()
    channel.leave()
    await s.until(() => s.count('phx_close') === 1)
    s.quiet()
    s.say(channel.state, s.socket.channels.length)
    await s.did(s.channel('relay:x').join())
  }, ['closed 0', 'phx_join ok {}'], ['ws2', 'ws1', 'lp2', 'lp1'], { only: /^(closed|phx_join)/ }],

  ['an answer that came before somebody asked for it is kept', async (s) => {
    const channel = await s.joined('relay:x')
    const push = channel.push('say', {})
    await s.answer(push)
    await s.did(push)
  }, [...hello, ...pushed(1, 2, 'relay:x', 'say'), 'say ok {}']],

  ['a room is where two counters of two clients meet', async (s) => {
    const other = await s.other('crdt:x')
    const channel = await s.joined('crdt:x')
    s.quiet()
    channel.on('state_updated', ({ value }) => s.say('told', value))
    await s.answer(other.channel.push('crdt.increment', { payload: { amount: 4 } }))
    await s.until(() => s.notes.includes('told 4'))
    const { value } = await s.answer(channel.push('crdt.increment', { payload: { amount: 3 } }))
    await s.until(() => s.notes.includes('told 7'))
    await s.until(() => other.heard.length === 2)
    s.say(value)
  }, [join(1, 'crdt:x'), '< ["1","1","crdt:x","phx_reply","*"]', 'phx_join ok *', 'told 4', 'told 7', '7']],
].map(([name, run, due, forms = ['ws2', 'lp2', 'ws1', 'lp1'], { only } = {}]) => ({ name, run, due, forms, only }))
