// tests/conformance/phoenix/genuine.mjs -- what a genuine Phoenix 1.8.12 answered, line by line, and what is the same
// here.
//
// |sent| and |came| are facts: they were seen on the wire, with an application whose channels cap:* echo, broadcast,
// refuse and crash when they are told to. Here the same exchange is played with our rooms: |setup| brings the
// connection to where Phoenix' was, |act| stands for |sent| where one of our rooms must be told in other words.
//
//   says     "*": the application's own words are not compared, all around them is
//   differs  the difference of README.md that this row shows; |here| is what comes instead
//   absent   why there is nothing to play
//
// Topics are renamed: cap:a is relay:a, and counters where the row says so. References are Phoenix' own.
const joined = ['a joins relay:a as 2']
const none = 'no room of ours does this; the envelope is the session\'s, tested in tests/unit/channel'

export const exchanges = [
  { title: 'heartbeat', sent: '[null,"1","phoenix","heartbeat",{}]', came: ['[null,"1","phoenix","phx_reply",{"response":{},"status":"ok"}]'] },
  { title: 'join', sent: '["2","2","cap:a","phx_join",{"x":1}]', came: ['["2","2","cap:a","phx_reply",{"response":{"hi":{"x":1}},"status":"ok"}]'], says: '*' },
  { title: 'push, answered', setup: joined, sent: '["2","3","cap:a","echo",{"y":[1,"é"]}]', came: ['["2","3","cap:a","phx_reply",{"response":{"y":[1,"é"]},"status":"ok"}]'], says: '*' },
  { title: 'push, answered with nothing', setup: joined, sent: '["2","4","cap:a","okbare",{}]', came: ['["2","4","cap:a","phx_reply",{"response":{},"status":"ok"}]'] },
  { title: 'push, answered with a status of its own', sent: '["2","5","cap:a","custom",{}]', came: ['["2","5","cap:a","phx_reply",{"response":{"a":1},"status":"teapot"}]'], absent: none },
  { title: 'push, answered with an error', setup: ['a joins crdt:a as 2'], sent: '["2","6","cap:a","err",{"e":1}]', act: 'a > ["2","6","crdt:a","err",{"e":1}]',
    came: ['["2","6","cap:a","phx_reply",{"response":{"e":1},"status":"error"}]'], says: '*' },
  { title: 'broadcast', setup: [...joined, 'b joins relay:a as 9'], sent: '["2","7","cap:a","bc",{"z":1}]', act: 'b > ["9",null,"relay:a","b",{"z":1}]', came: ['[null,null,"cap:a","b",{"z":1}]'] },
  { title: 'push of the server', sent: '["2","8","cap:a","push",{"z":2}]', came: ['["2",null,"cap:a","p",{"z":2}]'], absent: 'rooms push when their process was replaced: processes.test.mjs' },
  { title: 'reply of bytes', sent: '["2","9","cap:a","binreply",{}]', came: ['010101050232396361703a616f6b0102ff'], absent: none },
  { title: 'push of bytes by the server', sent: '["2","10","cap:a","binpush",{}]', came: ['00010502326361703a6162700908ff'], absent: none },
  { title: 'broadcast of bytes', setup: [...joined, 'b joins relay:a as 9'], sent: '["2","11","cap:a","binbc",{}]', act: 'b > push 9 - relay:a bb : 0707ff', came: ['0205026361703a6162620707ff'] },
  { title: 'push of bytes by a client', setup: joined, sent: '00010205033231326361703a6162696e010203', act: 'a > push 2 12 relay:a bin : 010203', came: ['01010205023231326361703a616f6b010203'],
    differs: 'D1', here: ['["2","12","cap:a","phx_reply",{"response":{},"status":"ok"}]'] },
  { title: 'stale push', setup: joined, sent: '["1","13","cap:a","echo",{"stale":1}]', came: [] },
  { title: 'push without a join_ref', setup: joined, sent: '[null,"14","cap:a","echo",{"nilref":1}]', came: ['["2","14","cap:a","phx_reply",{"response":{"nilref":1},"status":"ok"}]'], says: '*' },
  { title: 'push to a topic that is not joined', setup: joined, sent: '["2","15","cap:zzz","echo",{}]', came: ['[null,"15","cap:zzz","phx_reply",{"response":{"reason":"unmatched topic"},"status":"error"}]'] },
  { title: 'join of a topic that nobody serves', sent: '[null,"16","nope:1","phx_join",{}]', came: ['[null,"16","nope:1","phx_reply",{"response":{"reason":"unmatched topic"},"status":"error"}]'] },
  { title: 'join, refused', setup: Array.from({ length: 100 }, (_, i) => `a joins relay:${i} as ${i}`), sent: '["17","17","cap:no","phx_join",{"q":1}]',
    came: ['["17","17","cap:no","phx_reply",{"response":{"got":{"q":1},"reason":"nope"},"status":"error"}]'], says: '*' },
  { title: 'join, crashed', sent: '["18","18","cap:crash","phx_join",{}]', came: ['["18","18","cap:crash","phx_reply",{"response":{"reason":"join crashed"},"status":"error"}]'],
    absent: 'a room that cannot be opened refuses with the reason: processes.test.mjs' },
  { title: 'second join', setup: joined, sent: '["19","19","cap:a","phx_join",{"dup":1}]',
    came: ['["19","19","cap:a","phx_reply",{"response":{"hi":{"dup":1}},"status":"ok"}]', '["2","2","cap:a","phx_close",{}]'], says: '*' },
  { title: 'crash', sent: '["19","20","cap:a","boom",{}]', came: ['["19","19","cap:a","phx_error",{"reason":"channel_crash"}]'], absent: 'a room whose disk fails: processes.test.mjs' },
  { title: 'push after a crash', sent: '["19","21","cap:a","echo",{}]', came: ['[null,"21","cap:a","phx_reply",{"response":{"reason":"unmatched topic"},"status":"error"}]'] },
  { title: 'join after a crash', sent: '["22","22","cap:a","phx_join",{}]', came: ['["22","22","cap:a","phx_reply",{"response":{"hi":{}},"status":"ok"}]'], says: '*' },
  { title: 'leave', setup: ['a joins relay:a as 22'], sent: '["22","23","cap:a","phx_leave",{}]', came: ['["22","23","cap:a","phx_reply",{"response":{},"status":"ok"}]', '["22","22","cap:a","phx_close",{}]'] },
  { title: 'leave again', sent: '["22","24","cap:a","phx_leave",{}]', came: ['["22","24","cap:a","phx_reply",{"response":{},"status":"ok"}]'] },
  { title: 'join after leaving', setup: ['a joins relay:a as 22', 'a > ["22","23","relay:a","phx_leave",{}]', 'a < ["22","23","relay:a","phx_reply",{"status":"ok","response":{}}]', 'a < ["22","22","relay:a","phx_close",{}]'],
    sent: '["25","25","cap:a","phx_join",{}]', came: ['["25","25","cap:a","phx_reply",{"response":{"hi":{}},"status":"ok"}]'], says: '*' },
  { title: 'push that ends the channel', sent: '["25","26","cap:a","stop",{}]', came: ['["25","26","cap:a","phx_reply",{"response":{"bye":1},"status":"ok"}]', '["25","25","cap:a","phx_close",{}]'], absent: none },
  { title: 'presence of one who joins', sent: '["30","30","pres:1","phx_join",{}]', came: [
    '["30","30","pres:1","phx_reply",{"response":{},"status":"ok"}]',
    '[null,null,"pres:1","presence_diff",{"joins":{"u1":{"metas":[{"at":1,"phx_ref":"GOnw28S6KtmSLQHx"}]}},"leaves":{}}]',
    '["30",null,"pres:1","presence_state",{"u1":{"metas":[{"at":1,"phx_ref":"GOnw28S6KtmSLQHx"}]}}]'], absent: 'presence is not yet served; its frames: tests/conformance/presence' },
  { title: 'presence that changes', sent: '["30","31","pres:1","upd",{"k":2}]', came: [
    '[null,null,"pres:1","presence_diff",{"joins":{"u1":{"metas":[{"phx_ref":"GOnw3FmTi22SLQIB","phx_ref_prev":"GOnw28S6KtmSLQHx","k":2}]}},"leaves":{"u1":{"metas":[{"at":1,"phx_ref":"GOnw28S6KtmSLQHx"}]}}}]'],
    absent: 'presence is not yet served; its frames: tests/conformance/presence' },
  { title: 'another join', sent: '["32","32","cap:a","phx_join",{}]', came: ['["32","32","cap:a","phx_reply",{"response":{"hi":{}},"status":"ok"}]'], says: '*' },
  { title: 'disconnect of a user by the server, which then closes with 1001', sent: '["32","33","cap:a","disc",{}]', came: [], absent: 'there is no such command; a server that stops closes with 1012: processes.test.mjs' },
]

/** Requests of a long-poll client: method, what is in the query beside vsn, type and body; and the answer, of
 *  which the token is not compared. */
const batch = 'application/x-ndjson'
const bin = 'AAEBBQMxNGNhcDphYmluAQL/'
export const polls = [
  { title: 'a new session', method: 'GET', http: 200, json: { messages: [], status: 410, token: '*' } },
  { title: 'a batch', method: 'POST', token: 'own', type: batch, body: '["1","1","cap:a","phx_join",{}]\n["1","2","cap:a","echo",{"z":1}]', http: 200, json: { status: 200 } },
  { title: 'its answers', method: 'GET', token: 'own', http: 200, json: { messages: ['["1","1","cap:a","phx_reply",{"response":{"hi":{}},"status":"ok"}]', '["1","2","cap:a","phx_reply",{"response":{"z":1},"status":"ok"}]'], status: 200, token: '*' }, says: '*' },
  { title: 'a heartbeat', method: 'POST', token: 'own', type: batch, body: '[null,"3","phoenix","heartbeat",{}]', http: 200, json: { status: 200 } },
  { title: 'its answer', method: 'GET', token: 'own', http: 200, json: { messages: ['[null,"3","phoenix","phx_reply",{"response":{},"status":"ok"}]'], status: 200, token: '*' } },
  { title: 'a push to a topic that is not joined', method: 'POST', token: 'own', type: batch, body: '["1","9","cap:zzz","echo",{}]', http: 200, json: { status: 200 } },
  { title: 'its answer', method: 'GET', token: 'own', http: 200, json: { messages: ['[null,"9","cap:zzz","phx_reply",{"response":{"reason":"unmatched topic"},"status":"error"}]'], status: 200, token: '*' } },
  { title: 'one message as JSON', method: 'POST', token: 'own', type: 'application/json', body: '["1","5","cap:a","echo",{"plain":1}]', http: 200, json: { status: 200 } },
  { title: 'its answer', method: 'GET', token: 'own', http: 200, json: { messages: ['["1","5","cap:a","phx_reply",{"response":{"plain":1},"status":"ok"}]'], status: 200, token: '*' }, says: '*' },
  { title: 'a poll with a bogus token', method: 'GET', token: 'bogus', http: 200, json: { messages: [], status: 410, token: '*' } },
  { title: 'a batch with a bogus token', method: 'POST', token: 'bogus', body: '[]', http: 200, json: { status: 410 } },
  { title: 'another method', method: 'PUT', body: 'x', http: 400 },
  { title: 'what a browser asks before', method: 'OPTIONS', http: 200 },
  { title: 'another serializer', method: 'GET', vsn: '9.0.0', http: 200, json: { status: 403 } },
  { title: 'bytes', method: 'POST', token: 'own', type: batch, body: bin, http: 200, json: { status: 200 } },
  { title: 'their answer, of bytes', method: 'GET', token: 'own', http: 500, differs: 'D2',
    here: { http: 200, json: { messages: ['["1","4","cap:a","phx_reply",{"response":{},"status":"ok"}]'], status: 200, token: '*' } } },
  { title: 'a poll with nothing to say', method: 'GET', token: 'own', http: 200, json: { messages: [], status: 204, token: '*' }, waits: true },
]
