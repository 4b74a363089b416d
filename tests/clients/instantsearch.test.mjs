// InstantSearch with the official adapter, on a page in a real browser.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import Typesense from 'typesense'
import { nodeOf, startServer } from './server.mjs'

const CHROMIUM = '/usr/bin/chromium'
const NAME = 'clients_emotes'
const KINDS = ['cat', 'dog', 'frog']
const EMOTES = Array.from({ length: 60 }, (_, i) =>
  ({ id: `e${i}`, name: `${KINDS[i % 3]} number${i}`, kind: KINDS[i % 3], score: 1000 - i }))

const require = createRequire(import.meta.url)
const packageFile = (name, path) => join(dirname(require.resolve(`${name}/package.json`)), path)
const SCRIPTS = {
  '/instantsearch.js': packageFile('instantsearch.js', 'dist/instantsearch.production.min.js'),
  '/adapter.js': packageFile('typesense-instantsearch-adapter', 'dist/typesense-instantsearch-adapter.min.js'),
}

const page = (node, key) => `<!doctype html><meta charset="utf-8"><title>emotes</title>
<div id="box"></div><div id="kinds"></div><div id="stats"></div><div id="hits"></div><div id="pages"></div>
<script src="/instantsearch.js"></script><script src="/adapter.js"></script>
<script>
const adapter = new TypesenseInstantSearchAdapter({
  server: { apiKey: ${JSON.stringify(key)}, nodes: [${JSON.stringify(node)}] },
  additionalSearchParameters: { query_by: 'name', sort_by: '_text_match:desc,score:desc' },
})
const search = instantsearch({ indexName: ${JSON.stringify(NAME)}, searchClient: adapter.searchClient })
search.addWidgets([
  instantsearch.widgets.searchBox({ container: '#box' }),
  instantsearch.widgets.refinementList({ container: '#kinds', attribute: 'kind' }),
  instantsearch.widgets.stats({ container: '#stats', templates: { text: data => String(data.nbHits) } }),
  instantsearch.widgets.configure({ hitsPerPage: 8 }),
  instantsearch.widgets.hits({ container: '#hits', templates: {
    item: (hit, { html, components }) => html\`<p data-id="\${hit.objectID}">\${components.Highlight({ attribute: 'name', hit })}</p>\` } }),
  instantsearch.widgets.pagination({ container: '#pages' }),
])
search.start()
</script>`

let server, web, browser, view
const errors = []

before(async () => {
  assert.ok(existsSync(CHROMIUM), `${CHROMIUM} is missing: install Debian's package chromium (scripts/deps.sh test does)`)
  server = await startServer()
  const client = new Typesense.Client({ nodes: [nodeOf(server.url)], apiKey: server.key })
  await client.collections(NAME).delete().catch(() => {})
  await client.collections().create({ name: NAME, default_sorting_field: 'score', fields: [
    { name: 'name', type: 'string' }, { name: 'kind', type: 'string', facet: true }, { name: 'score', type: 'int32' }] })
  await client.collections(NAME).documents().import(EMOTES)
  const { value } = await client.keys().create({ description: 'page', actions: ['documents:search'], collections: [NAME] })
  web = createServer((request, response) => {
    const script = SCRIPTS[request.url]
    response.setHeader('content-type', script ? 'text/javascript' : 'text/html')
    response.end(script ? readFileSync(script) : page(nodeOf(server.url), value))
  })
  await new Promise(resolve => web.listen(0, '127.0.0.1', resolve))
  browser = await chromium.launchPersistentContext(join(server.scratch, 'browser'), {
    executablePath: CHROMIUM, headless: true,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
           '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
  view = await browser.newPage()
  view.on('pageerror', e => errors.push(String(e)))
  view.on('console', m => m.type() === 'error' && !m.text().includes('favicon') && errors.push(m.text()))
  await view.goto(`http://127.0.0.1:${web.address().port}/`)
})
after(async () => {
  await browser?.close()
  web?.close()
  await server?.stop()
})

const ids = () => view.$$eval('#hits [data-id]', all => all.map(e => e.dataset.id))
const expectIds = async expected => {
  await view.waitForFunction(
    wanted => JSON.stringify([...document.querySelectorAll('#hits [data-id]')].map(e => e.dataset.id)) === wanted,
    JSON.stringify(expected), { timeout: 20000 }).catch(async () => assert.deepEqual(await ids(), expected))
}
const found = async n => view.waitForFunction(
  wanted => document.querySelector('#stats')?.textContent.trim() === wanted, String(n), { timeout: 20000 })
const best = (n, keep = () => true, from = 0) => EMOTES.filter(keep).slice(from, from + n).map(e => e.id)

test('the page shows the best of all', async () => {
  await found(60)
  await expectIds(best(8))
})

test('typing shows results', async () => {
  await view.type('#box input', 'frog num')
  await found(20)
  await expectIds(best(8, e => e.kind === 'frog'))
  assert.match(await view.$eval('#hits [data-id]', e => e.innerHTML), /<(mark|em)[^>]*>frog<\/(mark|em)>/)
  await view.fill('#box input', 'nubmer7')
  await view.waitForFunction(() => document.querySelector('#hits [data-id]')?.dataset.id === 'e7', null, { timeout: 20000 })
  await view.fill('#box input', '')
  await found(60)
})

test('facets filter', async () => {
  const counts = await view.$$eval('#kinds .ais-RefinementList-count', all => all.map(e => e.textContent))
  assert.deepEqual(counts, ['20', '20', '20'])
  await view.click('#kinds input[value="dog"]')
  await found(20)
  await expectIds(best(8, e => e.kind === 'dog'))
  await view.click('#kinds input[value="cat"]')
  await found(40)
  await view.click('#kinds input[value="dog"]')
  await view.click('#kinds input[value="cat"]')
  await found(60)
})

test('paging works', async () => {
  await view.click('#pages .ais-Pagination-item--nextPage a')
  await expectIds(best(8, () => true, 8))
  await view.click('#pages .ais-Pagination-item--lastPage a')
  await expectIds(best(8, () => true, 56))
  await view.click('#pages .ais-Pagination-item--firstPage a')
  await expectIds(best(8))
})

test('the browser has nothing to complain of', () => assert.deepEqual(errors, []))
