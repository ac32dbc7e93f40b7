// tools/embed.mjs -- what the tools that put files into the program have in common.
import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** [{ path: '/a/b.js', file }], in the order of the bytes of `path`. `isTaken` is asked about each name, of folders, too. */
export function collect(folder, isTaken, prefix = '') {
  if (!existsSync(folder)) return []
  const found = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => isTaken(name)).flatMap((entry) => {
    const path = `${prefix}/${entry.name}`
    const file = join(folder, entry.name)
    if (entry.isDirectory()) return collect(file, isTaken, path)
    return entry.isFile() ? [{ path, file }] : []
  })
  return found.sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
}

/** A C or assembler string literal; what is not plain ASCII becomes octal escapes of its bytes. */
export function literal(text) {
  const bytes = [...Buffer.from(text)].map((byte) => {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c && byte !== 0x3f
    return plain ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`
  })
  return `"${bytes.join('')}"`
}

const block = (file, what, name) => `  .balign 16
  .global lk_${what}_begin_${name}
  .hidden lk_${what}_begin_${name}
lk_${what}_begin_${name}:
  .incbin ${literal(resolve(file))}
  .global lk_${what}_end_${name}
  .hidden lk_${what}_end_${name}
lk_${what}_end_${name}:
  .byte 0`

/** An assembler file that takes in files: of each, `lk_WHAT_begin_NAME` and `lk_WHAT_end_NAME` are where its bytes are. */
export function assembly(note, what, runs) {
  const blocks = runs.map(({ file, name }) => block(file, what, name))
  return `/* ${note} */\n  .section .rodata.${what}, "a"\n${blocks.join('\n')}\n  .section .note.GNU-stack, ""\n`
}
