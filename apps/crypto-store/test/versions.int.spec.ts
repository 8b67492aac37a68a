import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { etagOf, newKey, openRecords, type Records } from './records-world.ts';

let world: Records['world'];
let one: Records['one'];
let two: Records['two'];
let job: Records['job'];
let sql: Records['sql'];
let get: Records['get'];
let version: Records['version'];
let act: Records['act'];
let remove: Records['remove'];
let versionsOf: Records['versionsOf'];
let lastEvent: Records['lastEvent'];

beforeAll(async () => {
  ({ world, one, two, job, sql, get, version, act, remove, versionsOf, lastEvent } = await openRecords());
});

afterAll(() => world.close());

test('bytes, text and JSON come back as they were, with type, version, tag and metadata, at another replica', async () => {
  const bodies = {
    'application/octet-stream': randomBytes(1 << 20),
    'text/plain; charset=utf-8': Buffer.from('Grüße 🗝\n'),
    'application/json': Buffer.from('{ "a":\t[1e400, "\\u0000"] }'),
  };
  for (const [type, bytes] of Object.entries(bodies)) {
    const key = newKey();
    const metadata = { owner: 'Jürgen', 'x.y-z_1': '' };
    const escaped = JSON.stringify(metadata).replace('ü', '\\u00fc');
    const written = await job.put(one.url, key, bytes, { 'content-type': type, 'postern-metadata': escaped });
    expect(written).toMatchObject({ status: 201, body: { key, version: 1, bytes: bytes.length } });
    const read = await get(key);
    expect(read.bytes.equals(bytes)).toBe(true);
    expect(read.headers).toMatchObject({ 'content-type': type, etag: written.body['etag'], 'postern-version': '1' });
    expect(JSON.parse(read.headers['postern-metadata'] ?? '')).toEqual(metadata);
    const head = await job.record(two.url, key, { method: 'HEAD' });
    expect(head).toMatchObject({
      status: 200,
      bytes: Buffer.alloc(0),
      headers: { 'content-length': `${bytes.length}` },
    });
    expect(head.headers['etag']).toBe(etagOf(read));
  }
});

test('a record of bytes is not for the seed’s route, one of text is; and what that stored is read here', async () => {
  const [bytes, text] = [newKey(), newKey()];
  await job.put(one.url, bytes, Buffer.from([0xff]));
  expect(await job.retrieve(one.url, bytes)).toMatchObject({ status: 406, body: { code: 'record_not_text' } });
  await job.store(one.url, text, 'of the seed');
  expect((await get(text)).bytes.toString()).toBe('of the seed');
  expect((await job.put(one.url, text, 'of here')).status).toBe(200);
  expect((await job.retrieve(two.url, text)).body['payload']).toBe('of here');
});

test('each write is a version; as many are kept as the record says, and each is bound to its number', async () => {
  const key = newKey();
  for (const payload of ['1', '2', '3', '4']) await job.put(one.url, key, payload, { 'postern-keep-versions': '3' });
  expect(await versionsOf(key)).toEqual([
    [4, 'live'],
    [3, 'live'],
    [2, 'live'],
  ]);
  expect((await version(key, 3)).bytes.toString()).toBe('3');
  expect((await version(key, 1)).status).toBe(404);
  expect((await version(key, 5)).status).toBe(404);
  const id = await job.idOf(one.url, key);
  await sql(
    'update record_versions v set sealed = o.sealed from record_versions o where v.record_id = $1 and v.version = 3 and o.record_id = $1 and o.version = 2',
    [id],
  );
  expect((await version(key, 3)).body['code']).toBe('record_unreadable');
});

test('compare-and-set: of many who saw the same version one writes, the others are told (RFC 9110 section 13)', async () => {
  const key = newKey();
  const first = await job.put(one.url, key, 'first', { 'if-none-match': '*' });
  expect(first.status).toBe(201);
  expect((await job.put(one.url, key, 'x', { 'if-none-match': '*' })).status).toBe(412);
  const tag = String(first.body['etag']);
  const writers = Array.from({ length: 8 }, (_, n) =>
    job.put(n % 2 ? one.url : two.url, key, `writer ${n}`, { 'if-match': tag }),
  );
  const statuses = (await Promise.all(writers)).map(({ status }) => status).toSorted();
  expect(statuses).toEqual([200, 412, 412, 412, 412, 412, 412, 412]);
  expect((await job.put(one.url, key, 'x', { 'if-match': `W/${tag}` })).status).toBe(412);
  expect((await job.put(one.url, newKey(), 'x', { 'if-match': '*' })).status).toBe(412);
  expect((await job.put(one.url, key, 'x', { 'if-match': 'no tag' })).body['code']).toBe('invalid_input');
});

test('a read is conditional too: 304 for what the caller has, without its bytes, and recorded', async () => {
  const key = newKey();
  await job.put(one.url, key, 'x');
  const tag = etagOf(await get(key));
  expect(await get(key, { 'if-none-match': tag })).toMatchObject({ status: 304, bytes: Buffer.alloc(0) });
  expect(await lastEvent()).toMatchObject({ action: 'record.read', details: { unchanged: true } });
  expect((await get(key, { 'if-match': '"other"' })).status).toBe(412);
  await job.put(one.url, key, 'y');
  expect(await get(key, { 'if-none-match': tag })).toMatchObject({ status: 200 });
});

test('a record that asks for conditions takes no change without one: 428 (RFC 6585)', async () => {
  const key = newKey();
  await job.put(one.url, key, 'x', { 'postern-require-match': 'true' });
  const refused = { status: 428, body: { code: 'precondition_required' } };
  expect(await job.put(one.url, key, 'y')).toMatchObject(refused);
  expect(await job.store(one.url, key, 'y')).toMatchObject(refused);
  expect(await remove(key)).toMatchObject(refused);
  expect(await act(key, 'destroy', { all: true })).toMatchObject(refused);
  const tag = etagOf(await get(key));
  expect((await job.put(one.url, key, 'y', { 'if-match': tag, 'postern-require-match': 'false' })).status).toBe(200);
  expect((await job.put(one.url, key, 'z')).status).toBe(200);
});

test('a write that is sent again under its Idempotency-Key is one version, and another request under it is refused', async () => {
  const key = newKey();
  const headers = { 'idempotency-key': randomUUID() };
  const writes = await Promise.all([0, 1, 2, 3].map((n) => job.put(n % 2 ? one.url : two.url, key, 'x', headers)));
  expect(writes.map(({ status, body }) => [status, body['version']])).toEqual(Array(4).fill([201, 1]));
  expect(await job.put(one.url, key, 'y', headers)).toMatchObject({
    status: 422,
    body: { code: 'idempotency_key_reused' },
  });
  expect((await job.put(one.url, key, 'x', { ...headers, 'postern-keep-versions': '5' })).status).toBe(422);
  expect(await versionsOf(key)).toEqual([[1, 'live']]);
  const conditional = { 'idempotency-key': randomUUID(), 'if-match': etagOf(await get(key)) };
  for (let sent = 0; sent < 2; sent += 1)
    expect((await job.put(one.url, key, 'z', conditional)).body).toMatchObject({ version: 2 });
});

test('a replica that saw a later version raises an alarm when the database shows an earlier one (R34)', async () => {
  const key = newKey();
  await job.put(one.url, key, 'one');
  const id = await job.idOf(one.url, key);
  await job.put(one.url, key, 'two');
  await sql('delete from record_versions where record_id = $1 and version = 2', [id]);
  await sql('update records set version = 1 where id = $1', [id]);
  expect((await job.record(one.url, key)).bytes.toString()).toBe('one');
  expect(world.logged.some((line) => line.includes('record_rolled_back') && line.includes(id))).toBe(true);
  const metrics = await (await fetch(`${one.urls.management}/metrics`)).text();
  expect(metrics).toMatch(/crypto_store_rollbacks_total\S* 1/);
  const { rows } = await sql("select canonical from audit_outbox where action = 'alarm.raised'");
  expect(rows.map(({ canonical }: { canonical: Buffer }) => canonical.toString()).join()).toContain(id);
});

test('what is not a version, a time, a condition, metadata or a type is refused by name, and nothing is stored', async () => {
  const count = async () => (await sql('select count(*)::int as n from record_versions')).rows[0].n as number;
  const before = await count();
  const many = Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`n${n}`, '']));
  const headers: Record<string, string>[] = [
    { 'postern-metadata': 'no json' },
    { 'postern-metadata': '["x"]' },
    { 'postern-metadata': '{"x":1}' },
    { 'postern-metadata': '{"no space":""}' },
    { 'postern-metadata': JSON.stringify(many) },
    { 'postern-expires-at': 'tomorrow' },
    { 'postern-keep-versions': '0' },
    { 'postern-keep-versions': '65' },
    { 'postern-require-match': 'perhaps' },
    { 'if-none-match': 'x' },
  ];
  for (const each of headers) {
    const { status, body } = await job.put(one.url, newKey(), 'x', each);
    expect({ each, status, named: JSON.stringify(body).includes(`header.${Object.keys(each)[0]}`) }).toEqual({
      each,
      status: 400,
      named: true,
    });
  }
  expect((await job.put(one.url, newKey(), 'x', { 'content-type': 'image/png' })).status).toBe(415);
  expect((await job.put(one.url, newKey(), Buffer.alloc((1 << 20) + 1))).status).toBe(413);
  for (const path of ['?version=0', '?version=x', '?version=1e99', '?versions=1'])
    expect((await job.record(one.url, newKey(), { path })).status).toBe(400);
  for (const body of [{ versions: [] }, { versions: [0] }, { all: false }, {}, { versions: [1], all: true }])
    expect((await act(newKey(), 'destroy', body)).status).toBe(400);
  expect(await count()).toBe(before);
});
