// The official client: every call it has for the endpoints that Tailfin answers.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import Typesense from 'typesense'
import { nodeOf, startServer } from './server.mjs'

const NAME = 'clients_books'
const SCHEMA = {
  name: NAME,
  fields: [
    { name: 'title', type: 'string' },
    { name: 'authors', type: 'string[]', facet: true },
    { name: 'year', type: 'int32', facet: true },
    { name: 'rating', type: 'float', optional: true },
  ],
  default_sorting_field: 'year',
}
const BOOKS = [
  { id: '1', title: 'The Hunger Games', authors: ['Suzanne Collins'], year: 2008, rating: 4.34 },
  { id: '2', title: 'Harry Potter and the Philosopher\'s Stone', authors: ['J.K. Rowling', 'Mary GrandPré'], year: 1997, rating: 4.44 },
  { id: '3', title: 'Twilight', authors: ['Stephenie Meyer'], year: 2005, rating: 3.57 },
  { id: '4', title: 'To Kill a Mockingbird', authors: ['Harper Lee'], year: 1960 },
  { id: '5', title: 'The Great Gatsby', authors: ['F. Scott Fitzgerald'], year: 1925, rating: 3.89 },
]

let server, client
const clientWith = (key, Kind = Typesense.Client) =>
  new Kind({ nodes: [nodeOf(server.url)], apiKey: key, connectionTimeoutSeconds: 10, numRetries: 1, retryIntervalSeconds: 0.1 })
const books = () => client.collections(NAME).documents()
const refusedWith = status => e => e.httpStatus === status

before(async () => {
  server = await startServer()
  client = clientWith(server.key)
  await client.collections(NAME).delete().catch(() => {})
})
after(async () => {
  await client?.collections(NAME).delete().catch(() => {})
  await server?.stop()
})

test('collections', async () => {
  assert.equal(await client.collections(NAME).exists(), false)
  const made = await client.collections().create(SCHEMA)
  assert.equal(made.name, NAME)
  assert.equal(made.num_documents, 0)
  assert.equal(await client.collections(NAME).exists(), true)
  await assert.rejects(client.collections().create(SCHEMA), refusedWith(409))
  assert.deepEqual((await client.collections(NAME).retrieve()).fields, made.fields)
  assert.ok((await client.collections().retrieve()).some(c => c.name === NAME))
  assert.ok((await client.collections().retrieve({ exclude_fields: 'fields' })).every(c => !('fields' in c)))
  await client.collections().create({ name: `${NAME}_clone` }, { src_name: NAME })
  assert.equal((await client.collections(`${NAME}_clone`).delete()).name, `${NAME}_clone`)
  await assert.rejects(client.collections(`${NAME}_clone`).retrieve(), refusedWith(404))
})

test('single documents', async () => {
  assert.deepEqual(await books().create(BOOKS[0]), BOOKS[0])
  await assert.rejects(books().create(BOOKS[0]), refusedWith(409))
  assert.deepEqual(await books().upsert(BOOKS[1]), BOOKS[1])
  assert.deepEqual(await books().emplace({ id: '1', rating: 4.5 }), { ...BOOKS[0], rating: 4.5 })
  assert.deepEqual(await books().update(BOOKS[0]), BOOKS[0])
  assert.deepEqual(await client.collections(NAME).documents('1').retrieve(), BOOKS[0])
  assert.deepEqual(await client.collections(NAME).documents('1').update({ year: 2009 }), { ...BOOKS[0], year: 2009 })
  assert.deepEqual(await client.collections(NAME).documents('1').retrieve({ include_fields: 'title' }), { title: BOOKS[0].title })
  assert.equal((await client.collections(NAME).documents('1').delete()).id, '1')
  await assert.rejects(client.collections(NAME).documents('1').retrieve(), refusedWith(404))
  await assert.rejects(client.collections(NAME).documents('1').delete(), refusedWith(404))
  assert.deepEqual(await client.collections(NAME).documents('1').delete({ ignore_not_found: true }), { id: '1' })
  await assert.rejects(books().create({ id: '9', title: 'no year', authors: [] }), refusedWith(400))
})

test('import and export', async () => {
  const done = await books().import(BOOKS, { action: 'upsert', return_id: true })
  assert.deepEqual(done, BOOKS.map(b => ({ id: b.id, success: true })))
  const lines = BOOKS.map(b => JSON.stringify(b)).join('\n')
  assert.equal(await books().import(lines, { action: 'emplace' }), BOOKS.map(() => '{"success":true}').join('\n'))
  await assert.rejects(books().import(BOOKS, { action: 'create' }), e => {
    assert.equal(e.constructor.name, 'ImportError')
    assert.deepEqual(e.importResults.map(r => r.code), BOOKS.map(() => 409))
    return true
  })
  assert.equal((await books().createMany([{ id: '6', title: 'Emma', authors: ['Jane Austen'], year: 1815 }]))[0].success, true)
  const streamed = await books().importStream(Readable.from([lines]), { action: 'upsert' })
  assert.deepEqual(streamed, BOOKS.map(() => ({ success: true })))

  const byId = text => Object.fromEntries(text.split('\n').map(l => JSON.parse(l)).map(d => [d.id, d]))
  const all = byId(await books().export())
  assert.deepEqual(Object.keys(all).sort(), ['1', '2', '3', '4', '5', '6'])
  assert.deepEqual(all['2'], BOOKS[1])
  assert.deepEqual(byId(await books().export({ filter_by: 'year:>2000', include_fields: 'id,year' })),
                   { 1: { id: '1', year: 2008 }, 3: { id: '3', year: 2005 } })
  let text = ''
  for await (const piece of await books().exportStream({ exclude_fields: 'authors' })) text += piece
  assert.equal(Object.keys(byId(text)).length, 6)
  assert.ok(!text.includes('authors'))
})

test('writes by filter', async () => {
  assert.deepEqual(await books().update({ rating: 1.5 }, { filter_by: 'year:<1900' }), { num_updated: 1 })
  assert.equal((await client.collections(NAME).documents('6').retrieve()).rating, 1.5)
  assert.deepEqual(await books().delete({ filter_by: 'year:<1900', batch_size: 10 }), { num_deleted: 1 })
  await assert.rejects(books().delete({ filter_by: 'nope:1' }), refusedWith(400))
})

test('searching', async () => {
  const found = await books().search({ q: 'hungr', query_by: 'title' })
  assert.equal(found.found, 1)
  assert.equal(found.hits[0].document.title, 'The Hunger Games')
  assert.match(found.hits[0].highlights[0].snippet, /<mark>Hunger<\/mark>/)
  const faceted = await books().search({ q: '*', query_by: 'title', facet_by: 'authors,year', filter_by: 'rating:>3.5', sort_by: 'year:asc' })
  assert.deepEqual(faceted.hits.map(h => h.document.id), ['5', '2', '3', '1'])
  assert.deepEqual(faceted.facet_counts.map(f => f.field_name), ['authors', 'year'])
  const grouped = await books().search({ q: 'the', query_by: 'title', group_by: 'authors', group_limit: 1 })
  assert.ok(grouped.grouped_hits.length > 0)
  await assert.rejects(books().search({ q: 'x', query_by: 'nope' }), refusedWith(404))

  const both = await client.multiSearch.perform(
    { searches: [{ collection: NAME, q: 'potter' }, { collection: NAME, q: 'lee', query_by: 'authors' }, { collection: 'nope', q: 'x' }] },
    { query_by: 'title' })
  assert.equal(both.results[0].hits[0].document.id, '2')
  assert.equal(both.results[2].code, 404)
  const single = clientWith(server.key, Typesense.SearchClient)
  assert.equal((await single.collections(NAME).documents().search({ q: 'gatsby', query_by: 'title' })).found, 1)
  const cached = await single.multiSearch.perform({ searches: [{ collection: NAME, q: 'gatsby', query_by: 'title' }] }, {})
  assert.equal(cached.results[0].found, 1)
})

test('changing a collection', async () => {
  const change = { fields: [{ name: 'publisher', type: 'string', optional: true }] }
  assert.equal((await client.collections(NAME).update(change)).fields[0].name, 'publisher')
  assert.ok((await client.collections(NAME).retrieve()).fields.some(f => f.name === 'publisher'))
  await client.collections(NAME).update({ fields: [{ name: 'publisher', drop: true }] })
  assert.ok(!(await client.collections(NAME).retrieve()).fields.some(f => f.name === 'publisher'))
})

test('aliases', async () => {
  const alias = `${NAME}_alias`
  assert.deepEqual(await client.aliases().upsert(alias, { collection_name: NAME }), { collection_name: NAME, name: alias })
  assert.deepEqual(await client.aliases(alias).retrieve(), { collection_name: NAME, name: alias })
  assert.ok((await client.aliases().retrieve()).aliases.some(a => a.name === alias))
  assert.equal((await client.collections(alias).documents().search({ q: 'twilight', query_by: 'title' })).found, 1)
  assert.equal((await client.aliases(alias).delete()).name, alias)
  await assert.rejects(client.aliases(alias).retrieve(), refusedWith(404))
})

test('keys', async () => {
  const made = await client.keys().create({ description: 'search only', actions: ['documents:search'], collections: [NAME] })
  assert.ok(made.value)
  const kept = await client.keys(made.id).retrieve()
  assert.equal(kept.value_prefix, made.value.slice(0, 4))
  assert.ok((await client.keys().retrieve()).keys.some(k => k.id === made.id))

  const searcher = clientWith(made.value)
  assert.equal((await searcher.collections(NAME).documents().search({ q: '*' })).found, 5)
  await assert.rejects(searcher.collections().retrieve(), refusedWith(401))
  await assert.rejects(searcher.collections(NAME).documents().create(BOOKS[0]), refusedWith(401))

  const scoped = clientWith(client.keys().generateScopedSearchKey(made.value, { filter_by: 'year:>2000', per_page: 1 }))
  const within = await scoped.collections(NAME).documents().search({ q: '*', filter_by: 'year:>0', per_page: 50 })
  assert.equal(within.found, 2)
  assert.equal(within.hits.length, 1)
  const multi = await scoped.multiSearch.perform({ searches: [{ collection: NAME, q: '*', filter_by: 'year:<2000' }] }, {})
  assert.equal(multi.results[0].found, 0)
  await assert.rejects(scoped.collections(NAME).documents().export(), refusedWith(401))

  assert.deepEqual(await client.keys(made.id).delete(), { id: made.id })
  await assert.rejects(searcher.collections(NAME).documents().search({ q: '*' }), refusedWith(401))
})

test('service', async () => {
  assert.equal((await client.health.retrieve()).ok, true)
  const debug = await client.debug.retrieve()
  assert.equal(debug.state, 1)
  assert.equal(typeof debug.version, 'string')
  const metrics = await client.metrics.retrieve()
  assert.ok(Number(metrics.typesense_memory_resident_bytes) > 0)
  assert.ok('system_cpu_active_percentage' in metrics)
  const stats = await client.stats.retrieve()
  for (const name of ['latency_ms', 'requests_per_second', 'search_latency_ms', 'total_requests_per_second']) assert.ok(name in stats)
  assert.deepEqual(await client.operations.perform('snapshot', { snapshot_path: join(server.scratch, 'snapshot') }), { success: true })
  assert.equal(typeof (await client.operations.perform('cache/clear')).success, 'boolean')
})

test('subsystems that are not used answer as empty ones', async () => {
  assert.deepEqual(await client.collections(NAME).synonyms().retrieve(), { synonyms: [] })
  assert.deepEqual(await client.collections(NAME).overrides().retrieve(), { overrides: [] })
  assert.deepEqual(await client.stopwords().retrieve(), { stopwords: [] })
  assert.deepEqual(await client.presets().retrieve(), { presets: [] })
})
