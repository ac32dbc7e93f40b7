// tests/conformance/phoenix/exchanges.mjs -- what a client sends and what must come back. The notation is player.mjs'.
//
// One row is a title, the lines, and the forms in which it is played, where that is not all four: what only V2 can
// say, or only a WebSocket. Rows about anything that a genuine Phoenix does otherwise name the difference (D4 and
// so on), as README.md lists them.
const all = ['ws2', 'lp2', 'ws1', 'lp1']
const v2 = ['ws2', 'lp2']
const v1 = ['ws1', 'lp1']
const sockets = ['ws2', 'ws1']

const x = (count, text = 'x') => text.repeat(count)
/** Topics of that many bytes in all: "relay:" and the player's "0001." stand before the rest. */
const topicOf = (bytes, text = 'x') => `relay:${x((bytes - 11) / Buffer.byteLength(text), text)}`
const hexOf = (text) => Buffer.from(text).toString('hex')

const heartbeats = [
  ['a heartbeat is answered, with no join_ref', `
    a > [null,"1","phoenix","heartbeat",{}]
    a < [null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]`],
  ['many heartbeats are answered in order', `
    a > [null,"1","phoenix","heartbeat",{}]
    a > [null,"2","phoenix","heartbeat",{}]
    a > [null,"3","phoenix","heartbeat",{}]
    a < [null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]
    a < [null,"2","phoenix","phx_reply",{"status":"ok","response":{}}]
    a < [null,"3","phoenix","phx_reply",{"status":"ok","response":{}}]`],
  ['a heartbeat with a join_ref is answered without', `
    a > ["7","8","phoenix","heartbeat",{}]
    a < [null,"8","phoenix","phx_reply",{"status":"ok","response":{}}]`],
  ['references that are numbers come back as numbers', `
    a > [null,1,"phoenix","heartbeat",{}]
    a < [null,1,"phoenix","phx_reply",{"status":"ok","response":{}}]
    a > [12,13,"relay:x","phx_join",{}]
    a < [12,13,"relay:x","phx_reply",{"status":"ok","response":{}}]
    a > [12,14,"relay:x","x",{}]
    a < [12,14,"relay:x","phx_reply",{"status":"ok","response":{}}]`, v2],
  ['what a heartbeat carries does not matter', `
    a > [null,"1","phoenix","heartbeat",{"since":[1,2],"é":null}]
    a < [null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]`],
  ['a heartbeat in a binary frame is answered as text', `
    a > push - 1 phoenix heartbeat :
    a < [null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]`, v2],
  ['a heartbeat without a ref wants no answer (D4)', `
    a > [null,null,"phoenix","heartbeat",{}]`],
  ['another event on the topic phoenix is unmatched', `
    a > [null,"1","phoenix","ping",{}]
    a < [null,"1","phoenix","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`],
  ['a heartbeat on another topic is an event of that topic', `
    a > ["1","1","relay:x","heartbeat",{}]
    a < [null,"1","relay:x","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]
    a joins relay:x as 2
    a > ["2","3","relay:x","heartbeat",{}]
    a < ["2","3","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['the topic phoenix cannot be joined', `
    a > ["1","1","phoenix","phx_join",{}]
    a < [null,"1","phoenix","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]
    a > [null,"2","phoenix","heartbeat",{}]
    a < [null,"2","phoenix","phx_reply",{"status":"ok","response":{}}]`],
  ['heartbeats between joins and pushes change nothing', `
    a joins relay:x as 1
    a > [null,"2","phoenix","heartbeat",{}]
    a < [null,"2","phoenix","phx_reply",{"status":"ok","response":{}}]
    a > ["1","3","relay:x","say",{}]
    a < ["1","3","relay:x","phx_reply",{"status":"ok","response":{}}]`],
]

const joins = [
  ['a join is answered with its join_ref and ref', `
    a > ["1","1","relay:x","phx_join",{}]
    a < ["1","1","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['join_ref and ref need not be equal', `
    a > ["j","r","relay:x","phx_join",{}]
    a < ["j","r","relay:x","phx_reply",{"status":"ok","response":{}}]
    a > ["j","s","relay:x","say",{}]
    a < ["j","s","relay:x","phx_reply",{"status":"ok","response":{}}]
    a > ["r","t","relay:x","say",{}]`],
  ['a join answers with what the room has to say', `
    a > ["1","1","crdt:x","phx_join",{}]
    a < ["1","1","crdt:x","phx_reply",{"status":"ok","response":{"type":"gcounter","value":"#0","counts":{},"replica":"*","state":"*","level":"*"}}]`],
  ['params of a join may be anything', `
    a > ["1","1","relay:x","phx_join",{"token":"é","deep":[[[{"a":1e3}]]],"n":18446744073709551616}]
    a < ["1","1","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['params of a join may be no object', `
    a > ["1","1","relay:x","phx_join",null]
    a < ["1","1","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['a join may be a binary frame', `
    a > push 1 1 relay:x phx_join : 00ff
    a < ["1","1","relay:x","phx_reply",{"status":"ok","response":{}}]
    a > ["1","2","relay:x","say",{}]
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]`, v2],
  ['a join without a join_ref is a join', `
    a > [null,"1","relay:x","phx_join",{}]
    a < [null,"1","relay:x","phx_reply",{"status":"ok","response":{}}]
    a > [null,"2","relay:x","say",{}]
    a < [null,"2","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['with no join_ref at the join, an event that has one is stale', `
    a > [null,"1","relay:x","phx_join",{}]
    a < [null,"1","relay:x","phx_reply",{"status":"ok","response":{}}]
    a > ["1","2","relay:x","say",{}]`],
  ['a join without a ref is a join, of which nothing is said (D4)', `
    a > ["1",null,"relay:x","phx_join",{}]
    a > ["1","2","relay:x","say",{}]
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['references are opaque: text', `
    a > ["join é \\" \\\\","\\u0007\\ud83d\\ude00","relay:x","phx_join",{}]
    a < ["join é \\" \\\\","\\u0007\\ud83d\\ude00","relay:x","phx_reply",{"status":"ok","response":{}}]`, v2],
  ['references are opaque: numbers as text, of any size', `
    a > ["007","99999999999999999999","relay:x","phx_join",{}]
    a < ["007","99999999999999999999","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['references are opaque: an empty one is not null', `
    a > ["","","relay:x","phx_join",{}]
    a < ["","","relay:x","phx_reply",{"status":"ok","response":{}}]
    a > ["","","relay:x","say",{}]
    a < ["","","relay:x","phx_reply",{"status":"ok","response":{}}]
    a > ["0","1","relay:x","say",{}]`],
  ['references of 255 bytes', `
    a > ["${x(255, 'j')}","${x(255, 'r')}","relay:x","phx_join",{}]
    a < ["${x(255, 'j')}","${x(255, 'r')}","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['a topic of which no kind of room is known is unmatched', `
    a > [null,"1","nope:1","phx_join",{}]
    a < [null,"1","nope:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`],
  ['an unmatched join is answered without its join_ref', `
    a > ["1","1","nope:1","phx_join",{}]
    a < [null,"1","nope:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`],
  ['an unmatched join leaves nothing behind', `
    a > ["1","1","nope:1","phx_join",{}]
    a < [null,"1","nope:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]
    a > ["1","2","nope:1","say",{}]
    a < [null,"2","nope:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]
    a > ["1","3","nope:1","phx_leave",{}]
    a < ["1","3","nope:1","phx_reply",{"status":"ok","response":{}}]`],
  ...['relay', 'relay:', ':x', '', 'RELAY:x1', 'relayx:1', ' relay:y', 'crdt'].map((topic) => [
    `there is no room at "${topic}"`, `
    a ! ["1","1","${topic}","phx_join",{}]
    a < [null,"1","${topic}","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`, v2]),
  ['a topic may have more colons', `
    a > ["1","1","relay:x:y::z:","phx_join",{}]
    a < ["1","1","relay:x:y::z:","phx_reply",{"status":"ok","response":{}}]`],
  ['many topics on one connection are kept apart', `
    a joins relay:x as 1
    a joins relay:y as 2
    a joins crdt:z as 3
    a > ["2","4","relay:y","say",{}]
    a > ["1","5","relay:x","say",{}]
    a > ["3","6","crdt:z","crdt.get",{}]
    a > ["2","7","relay:x","say",{}]
    a < ["2","4","relay:y","phx_reply",{"status":"ok","response":{}}]
    a < ["1","5","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["3","6","crdt:z","phx_reply",{"status":"ok","response":{"value":"#0","counts":{},"state":"*"}}]`],
  ['one join_ref may serve two topics', `
    a joins relay:x as 1
    a joins relay:y as 1
    a > ["1","2","relay:y","phx_leave",{}]
    a < ["1","2","relay:y","phx_reply",{"status":"ok","response":{}}]
    a < ["1","1","relay:y","phx_close",{}]
    a > ["1","3","relay:x","say",{}]
    a < ["1","3","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['events right behind their join wait for it', `
    a > ["1","1","relay:x","phx_join",{}]
    a > ["1","2","relay:x","say",{}]
    a > ["1","3","relay:x","say",{}]
    a < ["1","1","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["1","3","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['events right behind a join that comes to nothing are unmatched', `
    a > ["1","1","nope:1","phx_join",{}]
    a > ["1","2","nope:1","say",{}]
    a < [null,"1","nope:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]
    a < [null,"2","nope:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`],
  ['a hundred topics, and no more', [
    ...Array.from({ length: 100 }, (_, i) => `a joins relay:${i} as ${i}`),
    'a > ["x","y","relay:more","phx_join",{}]',
    'a < ["x","y","relay:more","phx_reply",{"status":"error","response":{"reason":"too many channels joined"}}]',
    'a > ["x","z","relay:more","say",{}]',
    'a < [null,"z","relay:more","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]',
    'a > ["7","8","relay:7","say",{}]',
    'a < ["7","8","relay:7","phx_reply",{"status":"ok","response":{}}]',
  ], ['ws2', 'lp1']],
  ['with a hundred topics one of them can be joined again', [
    ...Array.from({ length: 100 }, (_, i) => `a joins relay:${i} as ${i}`),
    'a joins relay:50 as again',
    'a < ["50","50","relay:50","phx_close",{}]',
  ], ['ws1']],
  ['with a hundred topics a place that was left can be taken', [
    ...Array.from({ length: 100 }, (_, i) => `a joins relay:${i} as ${i}`),
    'a > ["50","l","relay:50","phx_leave",{}]',
    'a < ["50","l","relay:50","phx_reply",{"status":"ok","response":{}}]',
    'a < ["50","50","relay:50","phx_close",{}]',
    'a joins relay:more as more',
  ], ['ws2']],
]

const duplicates = [
  ['a second join: its reply first, then the close of the first', `
    a joins relay:x as 2
    a > ["19","19","relay:x","phx_join",{}]
    a < ["19","19","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["2","2","relay:x","phx_close",{}]`],
  ['after a second join the first join_ref is stale', `
    a joins relay:x as 2
    a joins relay:x as 3
    a < ["2","2","relay:x","phx_close",{}]
    a > ["2","4","relay:x","say",{}]
    a > ["3","5","relay:x","say",{}]
    a < ["3","5","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['a second join with the same join_ref', `
    a joins relay:x as 2
    a > ["2","3","relay:x","phx_join",{}]
    a < ["2","3","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["2","2","relay:x","phx_close",{}]
    a > ["2","4","relay:x","say",{}]
    a < ["2","4","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['a third join closes the second', `
    a joins relay:x as 1
    a joins relay:x as 2
    a < ["1","1","relay:x","phx_close",{}]
    a joins relay:x as 3
    a < ["2","2","relay:x","phx_close",{}]`],
  ['a second join without a join_ref closes the first', `
    a joins relay:x as 1
    a > [null,"2","relay:x","phx_join",{}]
    a < [null,"2","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["1","1","relay:x","phx_close",{}]`],
  ['the close of a first join without a join_ref carries null', `
    a > [null,"1","relay:x","phx_join",{}]
    a < [null,"1","relay:x","phx_reply",{"status":"ok","response":{}}]
    a joins relay:x as 2
    a < [null,null,"relay:x","phx_close",{}]`],
  ['who joined twice hears once', `
    a joins relay:x as 1
    a joins relay:x as 2
    a < ["1","1","relay:x","phx_close",{}]
    b joins relay:x as 1
    b > ["1","2","relay:x","say",{"n":1}]
    b < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < [null,null,"relay:x","say",{"n":1}]`],
  ['who joined twice does not hear himself', `
    a joins relay:x as 1
    a joins relay:x as 2
    a < ["1","1","relay:x","phx_close",{}]
    a > ["2","3","relay:x","say",{}]
    a < ["2","3","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['a second join on another connection is another member', `
    a joins relay:x as 1
    b joins relay:x as 1
    b > ["1","2","relay:x","say",{}]
    b < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < [null,null,"relay:x","say",{}]`],
]

const leaves = [
  ['leaving: reply, then close', `
    a joins relay:x as 22
    a > ["22","23","relay:x","phx_leave",{}]
    a < ["22","23","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["22","22","relay:x","phx_close",{}]`],
  ['leaving again is answered, and nothing is closed', `
    a joins relay:x as 22
    a > ["22","23","relay:x","phx_leave",{}]
    a < ["22","23","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["22","22","relay:x","phx_close",{}]
    a > ["22","24","relay:x","phx_leave",{}]
    a < ["22","24","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['leaving what was never joined is answered with the given join_ref', `
    a > ["9","10","relay:x","phx_leave",{}]
    a < ["9","10","relay:x","phx_reply",{"status":"ok","response":{}}]
    a > [null,"11","nope:1","phx_leave",{}]
    a < [null,"11","nope:1","phx_reply",{"status":"ok","response":{}}]`],
  ['leaving without a join_ref leaves', `
    a joins relay:x as 1
    a > [null,"2","relay:x","phx_leave",{}]
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["1","1","relay:x","phx_close",{}]`],
  ['leaving with a stale join_ref is ignored', `
    a joins relay:x as 1
    a > ["0","2","relay:x","phx_leave",{}]
    a > ["1","3","relay:x","say",{}]
    a < ["1","3","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['leaving without a ref is leaving, with no reply (D4)', `
    a joins relay:x as 1
    a > ["1",null,"relay:x","phx_leave",{}]
    a < ["1","1","relay:x","phx_close",{}]`],
  ['after leaving, events are unmatched', `
    a joins relay:x as 1
    a > ["1","2","relay:x","phx_leave",{}]
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["1","1","relay:x","phx_close",{}]
    a > ["1","3","relay:x","say",{}]
    a < [null,"3","relay:x","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`],
  ['after leaving, nothing of the room is heard', `
    a joins relay:x as 1
    b joins relay:x as 1
    a > ["1","2","relay:x","phx_leave",{}]
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["1","1","relay:x","phx_close",{}]
    b > ["1","2","relay:x","say",{}]
    b < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['after leaving, one may join again', `
    a joins relay:x as 1
    a > ["1","2","relay:x","phx_leave",{}]
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["1","1","relay:x","phx_close",{}]
    a joins relay:x as 3
    a > ["3","4","relay:x","say",{}]
    a < ["3","4","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['leaving one topic is not leaving another', `
    a joins relay:x as 1
    a joins relay:y as 2
    a > ["1","3","relay:x","phx_leave",{}]
    a < ["1","3","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["1","1","relay:x","phx_close",{}]
    a > ["2","4","relay:y","say",{}]
    a < ["2","4","relay:y","phx_reply",{"status":"ok","response":{}}]`],
  ['leaving may be a binary frame', `
    a joins relay:x as 1
    a > push 1 2 relay:x phx_leave : ff
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["1","1","relay:x","phx_close",{}]`, v2],
  ['a connection that ends leaves all its topics', `
    a joins relay:x as 1
    b joins relay:x as 1
    a leaves
    b > ["1","2","relay:x","say",{}]
    b < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
    c joins relay:x as 1
    c > ["1","2","relay:x","say",{}]
    c < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
    b < [null,null,"relay:x","say",{}]`],
]

const stale = [
  ['an event with another join_ref is ignored in silence', `
    a joins relay:x as 2
    a > ["1","13","relay:x","echo",{"stale":1}]
    a > ["2","14","relay:x","say",{}]
    a < ["2","14","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['a stale event is not heard by others', `
    a joins relay:x as 2
    b joins relay:x as 1
    a > ["1","3","relay:x","say",{"stale":1}]
    a > ["2","4","relay:x","say",{"stale":0}]
    a < ["2","4","relay:x","phx_reply",{"status":"ok","response":{}}]
    b < [null,null,"relay:x","say",{"stale":0}]`],
  ['a stale event does not change a room', `
    a joins crdt:x as 2
    a > ["1","3","crdt:x","crdt.increment",{"payload":{"amount":5}}]
    a > ["2","4","crdt:x","crdt.get",{}]
    a < ["2","4","crdt:x","phx_reply",{"status":"ok","response":{"value":"#0","counts":{},"state":"*"}}]`],
  ['join_refs are compared as text', `
    a joins relay:x as 1
    a > ["01","2","relay:x","say",{}]
    a > ["1 ","3","relay:x","say",{}]
    a > ["1.0","4","relay:x","say",{}]
    a > ["","5","relay:x","say",{}]
    a > ["1","6","relay:x","say",{}]
    a < ["1","6","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['join_refs are compared as decoded text', `
    a joins relay:x as 1
    a > ["\\u0031","2","relay:x","say",{}]
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]`, v2],
  ['an event without a join_ref is taken, and answered with the one of the join', `
    a joins relay:x as 2
    a > [null,"14","relay:x","echo",{"nilref":1}]
    a < ["2","14","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['a binary event without a join_ref is taken (D5)', `
    a joins relay:x as 2
    a > push - 14 relay:x bin : 01
    a < ["2","14","relay:x","phx_reply",{"status":"ok","response":{}}]`, v2],
  ['a binary event with another join_ref is ignored in silence', `
    a joins relay:x as 2
    a > push 1 3 relay:x bin : 01
    a > push 2 4 relay:x bin : 01
    a < ["2","4","relay:x","phx_reply",{"status":"ok","response":{}}]`, v2],
  ['an event for a topic that is not joined is unmatched, without its join_ref', `
    a > ["2","15","relay:zzz","echo",{}]
    a < [null,"15","relay:zzz","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`],
  ['a binary event for a topic that is not joined is answered as text', `
    a > push 2 15 relay:zzz echo : 00ff
    a < [null,"15","relay:zzz","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`, v2],
  ['an unmatched event without a ref wants no answer (D4)', `
    a > ["2",null,"relay:zzz","echo",{}]`],
  ['a topic that another connection joined is not joined here', `
    b joins relay:x as 1
    a > ["1","2","relay:x","say",{}]
    a < [null,"2","relay:x","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`],
  ['topics are compared byte by byte', `
    a joins relay:x as 1
    a > ["1","2","relay:X","say",{}]
    a < [null,"2","relay:X","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]
    a > ["1","3","relay:x ","say",{}]
    a < [null,"3","relay:x ","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`],
]

const pushes = [
  ['a push is answered with its own refs', `
    a joins relay:x as 2
    a > ["2","4","relay:x","okbare",{}]
    a < ["2","4","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['pushes are answered in order', `
    a joins relay:x as 1
    a > ["1","2","relay:x","say",{}]
    a > ["1","3","relay:x","say",{}]
    a > ["1","4","relay:x","say",{}]
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["1","3","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["1","4","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['a ref may come twice, and is answered twice', `
    a joins relay:x as 1
    a > ["1","2","relay:x","say",{}]
    a > ["1","2","relay:x","say",{}]
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['a push without a ref is heard, and not answered (D4)', `
    a joins relay:x as 1
    b joins relay:x as 1
    a > ["1",null,"relay:x","say",{"n":1}]
    b < [null,null,"relay:x","say",{"n":1}]`],
  ['a push without any reference is heard', `
    a joins relay:x as 1
    b joins relay:x as 1
    a > [null,null,"relay:x","say",{"n":1}]
    b < [null,null,"relay:x","say",{"n":1}]`],
  ['a push that changes a room is answered with what it did, and then told to all', `
    a joins crdt:x as 1
    a > ["1","2","crdt:x","crdt.increment",{"payload":{"amount":5}}]
    a < ["1","2","crdt:x","phx_reply",{"status":"ok","response":{"value":"#5","counts":{},"level":"memory"}}]
    a < [null,null,"crdt:x","state_updated",{"value":"#5","counts":"*","delta":"*"}]`],
  ['an event that a room does not know is an error', `
    a joins crdt:x as 2
    a > ["2","6","crdt:x","err",{"e":1}]
    a < ["2","6","crdt:x","phx_reply",{"status":"error","response":{"reason":"LK_ERR_UNKNOWN_EVENT","message":"*"}}]`],
  ['an event that a room does not know, without a ref, is nothing', `
    a joins crdt:x as 2
    a > ["2",null,"crdt:x","err",{"e":1}]
    a > ["2","7","crdt:x","crdt.get",{}]
    a < ["2","7","crdt:x","phx_reply",{"status":"ok","response":"*"}]`],
  ['a payload that a room cannot use is an error that names the field', `
    a joins crdt:x as 2
    a > ["2","6","crdt:x","crdt.increment",{"payload":{"amount":-1}}]
    a < ["2","6","crdt:x","phx_reply",{"status":"error","response":{"field":"payload.amount","*":"*"}}]
    a > ["2","7","crdt:x","crdt.increment",{}]
    a < ["2","7","crdt:x","phx_reply",{"status":"error","response":{"field":"payload.amount","*":"*"}}]`],
  ['bytes for a room that wants JSON are an error', `
    a joins crdt:x as 2
    a > push 2 6 crdt:x crdt.increment : 00ff
    a < ["2","6","crdt:x","phx_reply",{"status":"error","response":"*"}]`, v2],
  ['an error does not end the channel', `
    a joins crdt:x as 2
    a > ["2","3","crdt:x","nope",{}]
    a < ["2","3","crdt:x","phx_reply",{"status":"error","response":"*"}]
    a > ["2","4","crdt:x","crdt.get",{}]
    a < ["2","4","crdt:x","phx_reply",{"status":"ok","response":"*"}]`],
  ['members of an array past the fifth are ignored', `
    a ! ["1","1","nope:1","phx_join",{},"sixth",[7],{"8":9}]
    a < [null,"1","nope:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`, v2],
  ['members of an object that mean nothing are ignored, in any order', `
    a ! {"x":[1,{"ref":"no"}],"payload":{},"ref":"1","event":"phx_join","topic":"nope:1","status":"ok"}
    a < [null,"1","nope:1","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`, v1],
  ['V1 without join_ref, as its clients are', `
    a ! {"topic":"relay:x","event":"phx_join","payload":{},"ref":"1"}
    a < [null,"1","relay:x","phx_reply",{"status":"ok","response":{}}]
    a ! {"topic":"relay:x","event":"say","payload":{},"ref":"2"}
    a < [null,"2","relay:x","phx_reply",{"status":"ok","response":{}}]
    a ! {"topic":"relay:x","event":"phx_leave","payload":{},"ref":"3"}
    a < [null,"3","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < [null,null,"relay:x","phx_close",{}]`, v1],
  ['spaces and line breaks between the members of a message', `
    a joins relay:x as 1
    a ! \t[ "1" ,\r"2" , "relay:x","say" , { } ]\t
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]`, v2],
]

const broadcasts = [
  ['a broadcast has no references, and its sender does not hear it (D15)', `
    a joins relay:x as 2
    b joins relay:x as 5
    a > ["2","7","relay:x","b",{"z":1}]
    a < ["2","7","relay:x","phx_reply",{"status":"ok","response":{}}]
    b < [null,null,"relay:x","b",{"z":1}]`],
  ['three hear the fourth', `
    a joins relay:x as 1
    b joins relay:x as 2
    c joins relay:x as 3
    d joins relay:x as 4
    c > ["3","9","relay:x","say",{"n":1}]
    c < ["3","9","relay:x","phx_reply",{"status":"ok","response":{}}]
    a < [null,null,"relay:x","say",{"n":1}]
    b < [null,null,"relay:x","say",{"n":1}]
    d < [null,null,"relay:x","say",{"n":1}]`],
  ['broadcasts keep the order of their sender', `
    a joins relay:x as 1
    b joins relay:x as 1
    a > ["1",null,"relay:x","say",{"n":1}]
    a > ["1",null,"relay:x","say",{"n":2}]
    a > ["1",null,"relay:x","say",{"n":3}]
    b < [null,null,"relay:x","say",{"n":1}]
    b < [null,null,"relay:x","say",{"n":2}]
    b < [null,null,"relay:x","say",{"n":3}]`],
  ['a broadcast stays in its topic', `
    a joins relay:x as 1
    b joins relay:y as 1
    a > ["1","2","relay:x","say",{}]
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['clients of all forms in one room hear the same', `
    ws2 joins relay:x as 1
    ws1 joins relay:x as 2
    lp2 joins relay:x as 3
    lp1 joins relay:x as 4
    a joins relay:x as 5
    a > ["5","6","relay:x","say",{"n":[1,"é"]}]
    a < ["5","6","relay:x","phx_reply",{"status":"ok","response":{}}]
    ws2 < [null,null,"relay:x","say",{"n":[1,"é"]}]
    ws1 < [null,null,"relay:x","say",{"n":[1,"é"]}]
    lp2 < [null,null,"relay:x","say",{"n":[1,"é"]}]
    lp1 < [null,null,"relay:x","say",{"n":[1,"é"]}]`],
  ['bytes are broadcast as bytes, and as base64 to those who have no frames (D2)', `
    ws2 joins relay:x as 1
    ws1 joins relay:x as 2
    lp2 joins relay:x as 3
    lp1 joins relay:x as 4
    a joins relay:x as 5
    a > push 5 6 relay:x bb : 0707ff
    a < ["5","6","relay:x","phx_reply",{"status":"ok","response":{}}]
    ws2 < broadcast relay:x bb : 0707ff
    ws1 < [null,null,"relay:x","bb",{"b64":"Bwf/"}]
    lp2 < [null,null,"relay:x","bb",{"b64":"Bwf/"}]
    lp1 < [null,null,"relay:x","bb",{"b64":"Bwf/"}]`, v2],
  ['a member of a counter hears what another one did', `
    a joins crdt:x as 1
    b joins crdt:x as 1
    a > ["1",null,"crdt:x","crdt.increment",{"payload":{"amount":2}}]
    a < [null,null,"crdt:x","state_updated",{"value":"#2","counts":"*","delta":"*"}]
    b < [null,null,"crdt:x","state_updated",{"value":"#2","counts":"*","delta":"*"}]`],
  ['who comes later hears nothing of before', `
    a joins relay:x as 1
    a > ["1","2","relay:x","say",{}]
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
    b joins relay:x as 1`],
]

/** Bytes that one sends and another one hears. */
const bytes = [
  ['none', ''], ['one zero', '00'], ['what looks like JSON', hexOf('{"a":1}')], ['what is no UTF-8', 'fffec0af'],
  ['what looks like a frame', '0201016161'], ['all bytes', Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0')).join('')],
  ['65,536 of them', x(65536, 'a5')],
].map(([title, hex]) => [`a push of bytes: ${title}`, `
    a joins relay:x as 2
    b joins relay:x as 3
    a > push 2 12 relay:x bin : ${hex}
    a < ["2","12","relay:x","phx_reply",{"status":"ok","response":{}}]
    b < broadcast relay:x bin : ${hex}`, v2])

const frames = [
  ...bytes,
  ['a binary push without a ref is heard, and not answered', `
    a joins relay:x as 1
    b joins relay:x as 1
    a > push 1 - relay:x bin : 01
    b < broadcast relay:x bin : 01`, v2],
  ['a binary push with unicode names', `
    a joins relay:é as 1
    b joins relay:é as 1
    a > push 1 2 relay:é 数 : ff
    a < ["1","2","relay:é","phx_reply",{"status":"ok","response":{}}]
    b < broadcast relay:é 数 : ff`, v2],
  ['a binary push with names of 255 bytes', `
    a joins ${topicOf(255)} as ${x(255, 'j')}
    b joins ${topicOf(255)} as 1
    a > push ${x(255, 'j')} ${x(255, 'r')} ${topicOf(255)} ${x(255, 'e')} : ff
    a < ["${x(255, 'j')}","${x(255, 'r')}","${topicOf(255)}","phx_reply",{"status":"ok","response":{}}]
    b < broadcast ${topicOf(255)} ${x(255, 'e')} : ff`, v2],
]

/** JSON that must come through as it is written. */
const survivors = [
  ['2^53 + 1', '9007199254740993'], ['2^64', '18446744073709551616'], ['a hundred digits', x(10, '1234567890')],
  ['more digits than a double has', '0.1000000000000000055511151231257827'], ['1e999', '1e999'], ['-0', '-0'], ['1.0', '1.0'],
  ['1E+2', '1E+2'], ['true, false, null', '[true,false,null]'], ['an empty text', '""'], ['no object', '"text"'],
  ['null', 'null'], ['an array', '[1,[2,[3]]]'], ['names that come twice', '{"a":1,"a":2}'], ['an empty name', '{"":{"":[]}}'],
  ['__proto__', '{"__proto__":{"x":1},"constructor":1}'], ['escapes', '"\\u0041\\n\\/\\b\\u0000\\"\\\\"'],
  ['pairs of surrogates', '"\\ud83d\\ude00 😀"'], ['line separators', '"\u2028\u2029"'], ['noncharacters', '"\uffff\u{10ffff}"'],
  ['right to left, combined and zero width', '"שלום e\u0301 \u200d\ufeff"'], ['spaces', '{ "a" :\t[ 1 , 2 ] }'],
  ['60 levels', `${x(60, '[')}${x(60, ']')}`], ['100 kB of text', `"${x(100_000, 'ab')}"`], ['10,000 numbers', `[${Array.from({ length: 10_000 }, (_, i) => i).join()}]`],
].map(([title, json]) => [`a payload comes through as it is written: ${title} (D11)`, `
    a joins relay:x as 1
    b joins relay:x as 1
    a > ["1","2","relay:x","say",${json}]
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
    b ~ ${json}`, /kB|10,000/.test(title) ? ['ws2', 'lp1'] : all])

const names = [
  ...[['é', 'Latin'], ['数据', 'Chinese'], ['😀', 'an emoji'], ['e\u0301', 'a combined letter'], ['שלום', 'right to left'], ['a b', 'a space'],
    ['*', 'a star'], ['\u200b', 'zero width'], ["{'a':[1]}", 'brackets'], ['%2F/../', 'a path']].map(([text, title]) => [
    `a topic and an event of ${title}`, `
    a joins relay:${text} as 1
    b joins relay:${text} as 1
    a > ["1","2","relay:${text}","${text}",{}]
    a < ["1","2","relay:${text}","phx_reply",{"status":"ok","response":{}}]
    b < [null,null,"relay:${text}","${text}",{}]`]),
  ['e with an accent is not e and an accent', `
    a joins relay:\u00e9 as 1
    a > ["1","2","relay:e\u0301","say",{}]
    a < [null,"2","relay:e\u0301","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`],
  ['a topic of 255 bytes', `
    a joins ${topicOf(255)} as 1
    b joins ${topicOf(255)} as 1
    a > ["1","2","${topicOf(255)}","say",{}]
    a < ["1","2","${topicOf(255)}","phx_reply",{"status":"ok","response":{}}]
    b < [null,null,"${topicOf(255)}","say",{}]`],
  ['a topic of 255 bytes and 122 letters', `
    a joins ${topicOf(255, 'é')} as 1`],
  ['an event of 255 bytes', `
    a joins relay:x as 1
    b joins relay:x as 1
    a > ["1","2","relay:x","${x(255, 'e')}",{}]
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
    b < [null,null,"relay:x","${x(255, 'e')}",{}]`],
  ['an event without a name', `
    a joins relay:x as 1
    b joins relay:x as 1
    a > ["1","2","relay:x","",{}]
    a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
    b < [null,null,"relay:x","",{}]`],
  ['names that are escaped are the names that they stand for', `
    a joins relay:x as 1
    b joins relay:x as 1
    a ! ["\\u0031","\\u00e9","relay:\\u0078","s\\u0061y",{}]
    a < ["1","é","relay:x","phx_reply",{"status":"ok","response":{}}]
    b < [null,null,"relay:x","say",{}]`, v2],
  ...[['topic', topicOf(256), 'e', '2'], ['event', 'relay:x', x(256, 'e'), '2'], ['ref', 'relay:x', 'e', x(256, 'r')]].map(([what, topic, event, ref]) => [
    `a name of 256 bytes ends the connection: the ${what} (D7)`, `
    a joins relay:x as 1
    a > ["1","${ref}","${topic}","${event}",{}]
    a x 1008`]),
  ['a name of 256 bytes ends the connection: the join_ref (D7)', `
    a > ["${x(256, 'j')}","1","relay:x","phx_join",{}]
    a x 1008`],
  ['255 is counted in bytes: 128 letters of two (D7)', `
    a > ["1","1","relay:x","${x(128, 'é')}",{}]
    a x 1008`],
]

/** Events of the protocol that only a server says: members must not make them up. */
const reserved = [
  ...['phx_close', 'phx_error', 'phx_reply', 'phx_anything', 'chan_reply_1'].map((event) => [
    `${event} of a client is refused, and nobody hears it (D8)`, `
    a joins relay:x as 1
    b joins relay:x as 1
    a > ["1","2","relay:x","${event}",{"status":"ok","response":{}}]
    a < ["1","2","relay:x","phx_reply",{"status":"error","response":{"reason":"reserved event"}}]`]),
  ['an event that only looks like a reserved one is heard', `
    a joins relay:x as 1
    b joins relay:x as 1
    a > ["1",null,"relay:x","phx",{}]
    a > ["1",null,"relay:x","PHX_CLOSE",{}]
    a > ["1",null,"relay:x","my_phx_close",{}]
    a > ["1",null,"relay:x","chan",{}]
    b < [null,null,"relay:x","phx",{}]
    b < [null,null,"relay:x","PHX_CLOSE",{}]
    b < [null,null,"relay:x","my_phx_close",{}]
    b < [null,null,"relay:x","chan",{}]`],
]

/** What is no message ends the connection with 1008: never with 1000, after which old clients stay away. */
const nonsense = [
  ...[['nothing', ''], ['a word', 'hello'], ['a number', '1'], ['null', 'null'], ['a text', '"x"'], ['half of a message', '["1","1","relay:x","phx_'],
    ['two messages', '[null,"1","phoenix","heartbeat",{}][null,"2","phoenix","heartbeat",{}]'],
    ['a comma too many', '[null,"1","phoenix","heartbeat",{},]'], ['a comment', '[null,"1","phoenix","heartbeat",{}]//'],
    ['a number with a zero in front', '[null,"1","phoenix","heartbeat",{"a":01}]'], ['half of a surrogate', '[null,"1","phoenix","heartbeat",{"a":"\\ud800"}]'],
    ['a control character in a text', '[null,"1","phoenix","heartbeat",{"a":"\u0001"}]'], ['a byte order mark', '\ufeff[null,"1","phoenix","heartbeat",{}]'],
    ['too many levels', `[null,"1","phoenix","heartbeat",${x(100, '[')}${x(100, ']')}]`]].map(([title, text]) => [
    `${title} ends the connection (D3)`, `
    a ! ${text}
    a x 1008`, title === 'nothing' ? sockets : all]),
  ...[['no member', '[]'], ['four members', '[null,"1","phoenix","heartbeat"]'], ['a topic that is null', '[null,"1",null,"heartbeat",{}]'],
    ['a topic that is a number', '[null,"1",1,"heartbeat",{}]'], ['an event that is null', '[null,"1","phoenix",null,{}]'],
    ['an event that is an object', '[null,"1","phoenix",{},{}]'], ['a ref that is a fraction (D9)', '[null,1.5,"phoenix","heartbeat",{}]'],
    ['a join_ref that is an object (D9)', '[{},"1","phoenix","heartbeat",{}]'], ['a ref that is an array', '[null,["1"],"phoenix","heartbeat",{}]'],
    ['an object of V1', '{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1"}']].map(([title, text]) => [
    `an array with ${title} ends the connection (D3)`.replace('an array with an object', 'an object'), `
    a ! ${text}
    a x 1008`, v2]),
  ...[['no topic', '{"event":"heartbeat","payload":{},"ref":"1"}'], ['no event', '{"topic":"phoenix","payload":{},"ref":"1"}'],
    ['no payload', '{"topic":"phoenix","event":"heartbeat","ref":"1"}'], ['no ref', '{"topic":"phoenix","event":"heartbeat","payload":{}}'],
    ['a ref that is a fraction (D9)', '{"topic":"phoenix","event":"heartbeat","payload":{},"ref":1.5}']].map(([title, text]) => [
    `an object with ${title} ends the connection (D3)`, `
    a ! ${text}
    a x 1008`, v1]),
  ['an array of V2 ends a connection of V1 (D3)', `
    a ! [null,"1","phoenix","heartbeat",{}]
    a x 1008`, v1],
  ...[['nothing', ''], ['a head that is too short', '00000000'], ['kind 1', '010001000078'], ['kind 2', '02010161'], ['kind 3', '0300000000'], ['kind 255', 'ff00000000'],
    ['a length beyond the end', '0000000500616263'], ['all lengths beyond the end', '00ffffffff'], ['a name that is no UTF-8', '0000000100ff'],
    ['JSON', hexOf('[null,"1","phoenix","heartbeat",{}]')]].map(([title, hex]) => [
    `a frame of ${title} ends the connection (D3)`, `
    a !b ${hex}
    a x 1008`, title === 'nothing' || title === 'JSON' ? ['ws2'] : v2]),
  ['a frame ends a connection of V1 (D3)', `
    a !b 00000107097068656f656e6978
    a x 1008`, v1],
  ['what others do is not disturbed by one who speaks nonsense', `
    a joins relay:x as 1
    b joins relay:x as 1
    a ! nonsense
    a x 1008
    b > ["1","2","relay:x","say",{}]
    b < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]`],
  ['what came before the nonsense has been done', `
    a joins relay:x as 1
    b joins relay:x as 1
    a > ["1",null,"relay:x","say",{"n":1}]
    b < [null,null,"relay:x","say",{"n":1}]
    a ! nonsense
    a x 1008`],
  ['a message of more than 1 MiB ends the connection with 1009', `
    a ! ${x((1 << 20) + 1)}
    a x 1009`, sockets],
]

const tokens = [
  ['a token that nobody asked for is refused in band', `
    a > [null,"1","phoenix","access_token",{"token":"abc"}]
    a < [null,"1","phoenix","phx_reply",{"status":"error","response":{"reason":"*"}}]`],
  ['a renewal without a token is refused', `
    a > [null,"1","phoenix","access_token",{}]
    a < [null,"1","phoenix","phx_reply",{"status":"error","response":{"reason":"*"}}]
    a > [null,"2","phoenix","access_token",{"token":7}]
    a < [null,"2","phoenix","phx_reply",{"status":"error","response":{"reason":"*"}}]`],
]

export const exchanges = Object.entries({
  heartbeats, joins, 'duplicate joins': duplicates, leaves, 'stale references': stale, pushes, broadcasts, 'binary frames': frames,
  payloads: survivors, names, 'reserved events': reserved, nonsense, tokens,
}).map(([title, rows]) => ({ title, rows: rows.map(([name, lines, forms = all]) => ({ name, lines, forms })) }))
