// What keeps and sends, bundled once for all pages.
import '@laniakea/sdk/worker'
