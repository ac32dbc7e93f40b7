// tests/e2e/board_merge.test.mjs -- what the board's page says of a merge, without a page.
//
//   node --test tests/e2e/board_merge.test.mjs
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changesBetween, countOf, explain, labelOf, sentenceOf } from '../../js/apps/board/src/merge.ts'

/** "todo: a b♥2 | done: c" */
function board(text, votes = {}) {
  const cards = text.split('|').flatMap((part) => {
    const [column, names] = part.split(':')
    return names.trim().split(' ').filter(Boolean).map((name) => {
      const [titles, likes = '0'] = name.split('♥')
      const [id] = titles
      return { id, titles: titles.split('/'), column: column.trim(), likes: Number(likes) }
    })
  })
  return { cards, votes }
}

const labels = (before, after) => Object.fromEntries([...changesBetween(board(before), board(after)).cards].map(([id, change]) => [id, change.isDeleted ? 'deleted' : labelOf(change, false)]))

test('changes are found, and of a row as few cards as can be have moved', () => {
  assert.deepEqual(labels('todo: a b c | done: d', 'todo: a b c | done: d'), {})
  assert.deepEqual(labels('todo: a b c', 'todo: c a b'), { c: 'moved' })
  assert.deepEqual(labels('todo: a b c d e', 'todo: b c e d a'), { a: 'moved', d: 'moved' })
  assert.deepEqual(labels('todo: a b c', 'todo: a c | doing: b'), { b: 'to Doing' })
  assert.deepEqual(labels('todo: a b c', 'todo: b c'), { a: 'deleted' })
  assert.deepEqual(labels('todo: a b', 'todo: x a b'), { x: 'new' })
  assert.deepEqual(labels('todo: a b♥1', 'todo: ax b♥4'), { a: 'renamed', b: '+3 ♥' })
  assert.deepEqual(labels('todo: a', 'done: ax/ay♥1'), { a: '2 names, to Done, +1 ♥' })
  const { votes } = changesBetween(board('todo: a', { ann: 'x', bob: 'y', cy: 'z' }), board('todo: a', { ann: 'x', bob: 'z', dan: 'y' }))
  assert.deepEqual(votes.sort(), ['bob', 'cy', 'dan'])
  assert.equal(countOf(changesBetween(board('todo: a b'), board('todo: a b'))), 0)
})

test('what changed is said in a sentence', () => {
  const said = (before, after) => [...changesBetween(board(before), board(after)).cards.values()].map((change) => sentenceOf(change, false))
  assert.deepEqual(said('todo: a b c d', 'todo: ax♥1 d | done: b'), ['“a” is now “ax”, “a” got 1 like', '“b” moved to Done', '“c” was deleted'])
})

const both = (base, ada, ben, merged) => explain({ who: 'Ada', before: board(base), after: board(ada) }, { who: 'Ben', before: board(base), after: board(ben) }, board(merged))

test('where both changed the same card, the page says how it was and what became of it', () => {
  const cases = [
    ['todo: a', 'todo: ax', 'todo: ay', 'todo: ax/ay', ['Both renamed the card “a”: Ada “ax”, Ben “ay”. Both names are kept until somebody chooses.']],
    ['todo: a', 'todo: ax', 'todo: ax', 'todo: ax', ['Both renamed the card “a”: Ada “ax”, Ben “ax”. It is “ax”.']],
    ['todo: a', 'doing: a', 'done: a', 'done: a', ['Both moved “a”: Ada to Doing, Ben to Done. It stands once, in Done.']],
    ['todo: a', 'todo:', 'todo: ax♥1', 'todo: ax♥1', ['Ada deleted “a” while Ben renamed it to “ax” and liked it. The card stays, so that nobody’s work is lost.']],
    ['todo: a', 'todo: a♥1', 'todo:', 'todo:', ['Ben deleted “a” while Ada liked it. It is gone: a like does not bring a card back.']],
    ['todo: a', 'todo:', 'todo:', 'todo:', ['Both deleted “a”.']],
    ['todo: a♥1', 'todo: a♥2', 'todo: a♥4', 'todo: a♥5', ['Both liked “a”: 1 + 1 + 3 = 5. No like is lost, none counts twice.']],
    ['todo: a', 'todo: ax', 'done: a', 'done: ax', ['Ada renamed “a” while Ben moved it: both hold.']],
    ['todo: a', 'todo: ax', 'todo: a♥1', 'todo: ax♥1', []],
    ['todo: a b', 'todo: ax b', 'todo: a bx', 'todo: ax bx', []],
    ['todo: a', 'todo: ax', 'todo: ay', 'todo:', ['Somebody else deleted “a”.']],
  ]
  for (const [base, ada, ben, merged, lines] of cases) assert.deepEqual(both(base, ada, ben, merged).lines, lines, `${ada} and ${ben}`)
})

test('the summary counts what each brought', () => {
  assert.equal(both('todo: a', 'todo: a', 'todo: a', 'todo: a').summary, 'The network is back. Nothing had changed meanwhile.')
  assert.equal(both('todo: a b', 'todo: ax b', 'todo: a b', 'todo: ax b').summary, 'Merged: Ada brought changes to 1 card. Nothing was in the way of anything.')
  const votes = explain({ who: 'Ada', before: board('todo: a'), after: board('todo: a', { ada: 'x' }) }, { who: 'Ben', before: board('todo: a'), after: board('todo: ax', { ben: 'x' }) }, board('todo: ax'))
  assert.equal(votes.summary, 'Merged: Ada brought 1 vote, Ben brought changes to 1 card and 1 vote. This is where they met:')
  assert.deepEqual(votes.lines, ['Both voted: each of the two votes counts, once.'])
})
