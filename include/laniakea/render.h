/* laniakea/render.h -- a rich text document as HTML or Markdown, for those who have no editor.
 *
 *   lk_doc_root(doc, slice("document-store"), LK_NODE_XML_FRAGMENT, &root);
 *   lk_doc_render(doc, root, LK_RENDER_HTML, out);
 *
 * Reads what editors store in Yjs: XML fragments of BlockNote, ProseMirror and Tiptap (paragraphs, headings,
 * nested lists and check lists, quotes, code, tables, images and other media, rules; bold, italic,
 * underline, strike, code, links, colours), and texts with Quill's line formats.
 *
 * The document may be a stranger's. All text and all attributes are escaped; addresses are given only where they
 * are relative or begin with http, https, mailto, tel or data:image/ (png, jpeg, gif, webp), however they
 * are disguised; of styles nothing but colours and alignment passes, each as one plain word or number. So the
 * HTML may be shown as it is: it holds no script, and no element that was not made here.
 *
 * A block of unknown kind becomes a <div>, in Markdown nothing around its content; its text and its children
 * are shown. So is text whose formatting is unknown. Children of a block that is no list item stand behind it.
 *
 * Markdown is CommonMark with tables, task lists and strike-through of GitHub, and reads back as the same text but
 * for: spaces and line breaks at the end of a block, empty paragraphs, and blocks in table cells,
 * which become lines. What Markdown has no sign for is an HTML tag (<u>, <sup>), colours are left out. */
#ifndef LANIAKEA_RENDER_H
#define LANIAKEA_RENDER_H

#include "laniakea/doc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lk_render_format {
  LK_RENDER_HTML = 1,
  LK_RENDER_MARKDOWN = 2,
} lk_render_format;

/* Appends |node|, a text or an XML node, and everything in it. Time and output are near linear in what it holds.
 * LK_ERR_NOT_FOUND, LK_ERR_TYPE for other nodes, LK_ERR_INVALID for another format, LK_ERR_NOMEM, LK_ERR_LIMIT of |out|:
 * |out| is then as before. */
LK_API lk_err lk_doc_render(const lk_doc *doc, lk_node node, lk_render_format format,
                            lk_buf *out) LK_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
