// The document as a file, made in this tab: it works offline, and for a replica that the server refuses.
import type { BlockNoteEditor } from '@blocknote/core'

const escapeHtml = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)

const htmlOf = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.6 system-ui, sans-serif; color-scheme: light dark }</style>
</head>
<body>
${body}
</body>
</html>
`

function offer(name: string, type: string, text: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type }))
  link.download = name
  link.click()
  // Browsers need it until the download has begun.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}

const fileNameOf = (name: string): string => name.replace(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[.-]+/, '').slice(0, 100) || 'document'

type AnyEditor = BlockNoteEditor<any, any, any>

export function downloadHtml(editor: AnyEditor, name: string): void {
  offer(`${fileNameOf(name)}.html`, 'text/html', htmlOf(name, editor.blocksToHTMLLossy(editor.document)))
}

export function downloadMarkdown(editor: AnyEditor, name: string): void {
  offer(`${fileNameOf(name)}.md`, 'text/markdown', editor.blocksToMarkdownLossy(editor.document))
}
