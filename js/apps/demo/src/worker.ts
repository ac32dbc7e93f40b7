// The engine, bundled beside the page.
import '@laniakea/sdk/worker'
