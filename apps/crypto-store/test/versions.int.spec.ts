import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openWorld, type Caller, type Replica, type Reply, type World } from './crypto-store.ts';

let world: World;
let one: Replica;
let two: Replica;
let job: Caller;
let portal: Caller;

beforeAll(async () => {
  world = await openWorld();
  [one, two] = await Promise.all([world.replica(), world.replica()]);
  [job, portal] = await Promise.all([world.caller('job'), world.caller('portal')]);
});

afterAll(() => world.close());

const newKey = () => `key-${randomUUID()}`;
const sql = (text: string, values: unknown[] = []) =>
  world.postgres.asAdmin((client) => client.query(text, values), world.database.name);

const get = (key: string, headers: Record<string, string> = {}) => job.record(two.url, key, { headers });
const version = (key: string, number: number) => job.record(one.url, key, { path: `?version=${number}` });
const etagOf = ({ headers }: Reply) => headers['etag'] ?? '';
const act = (key: string, what: string, body: object, headers: Record<string, string> = {}) =>
  job.record(one.url, key, { method: 'POST', path: `/${what}`, body, headers });
const remove = (key: string, path = '', headers: Record<string, string> = {}) =>
  job.record(one.url, key, { method: 'DELETE', path, headers });
const versionsOf = async (key: string) => {
  const { body } = await job.record(one.url, key, { path: '/versions' });
  return (body['versions'] as { version: number; state: string }[]).map((each) => [each.version, each.state]);
};
const lastEvent = async () => {
  const { rows } = await sql('select canonical from audit_outbox order by id desc limit 1');
  return JSON.parse((rows[0].canonical as Buffer).toString()) as Record<string, unknown>;
};

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

test('what is deleted is gone for every reader, also from the cache, until it is restored; a later write is a later version', async () => {
  const key = newKey();
  await job.put(one.url, key, 'one');
  await job.put(one.url, key, 'two');
  expect((await get(key)).headers['postern-source']).toBe('cache');
  expect((await remove(key)).status).toBe(204);
  for (const { url } of [one, two]) expect((await job.record(url, key)).status).toBe(404);
  expect((await version(key, 1)).status).toBe(404);
  expect((await remove(key)).status).toBe(404);
  expect((await act(key, 'undelete', {})).body['versions']).toEqual([1, 2]);
  expect((await get(key)).bytes.toString()).toBe('two');

  await remove(key, '?version=1');
  expect(await versionsOf(key)).toEqual([
    [2, 'live'],
    [1, 'deleted'],
  ]);
  await remove(key);
  expect((await job.put(one.url, key, 'three', { 'if-none-match': '*' })).body['version']).toBe(3);
  expect((await version(key, 2)).status).toBe(404);
  expect((await act(key, 'undelete', { versions: [2] })).body['versions']).toEqual([2]);
  expect((await version(key, 2)).bytes.toString()).toBe('two');
});

test('a cache that keeps what was deleted, because Redis heard nothing of it, gives it to nobody (R32)', async () => {
  const key = newKey();
  await job.put(one.url, key, 'x');
  const entries = () => world.redis.cache.asAdmin((client) => client.keys('*'));
  expect((await get(key)).headers['postern-source']).toBe('cache');
  const id = await job.idOf(one.url, key);
  await sql('update record_versions set deleted_at = now() where record_id = $1', [id]);
  await sql('update records set live_until = now() where id = $1', [id]);
  expect((await entries()).length).toBeGreaterThan(0);
  expect((await get(key)).status).toBe(404);
});

test('what is destroyed is no longer in the database, cannot be restored, and its number stays taken', async () => {
  const key = newKey();
  await job.put(one.url, key, 'one');
  await job.put(one.url, key, 'two');
  const id = await job.idOf(one.url, key);
  expect((await act(key, 'destroy', { versions: [1, 9] })).body['versions']).toEqual([1]);
  expect(await lastEvent()).toMatchObject({
    action: 'record.destroyed',
    resource: { id },
    details: { versions: ['1'], cause: 'asked' },
  });
  const { rows } = await sql('select version, sealed from record_versions where record_id = $1 order by version', [id]);
  expect(rows[0]).toEqual({ version: '1', sealed: null });
  expect((await act(key, 'undelete', { versions: [1] })).status).toBe(404);
  expect((await get(key)).bytes.toString()).toBe('two');
  await act(key, 'destroy', { versions: [2] });
  expect((await get(key)).status).toBe(404);
  expect((await job.put(one.url, key, 'three')).body['version']).toBe(3);

  expect((await act(key, 'destroy', { all: true })).status).toBe(200);
  expect((await sql('select from records where id = $1', [id])).rowCount).toBe(0);
  expect((await job.record(one.url, key, { path: '/versions' })).status).toBe(404);
  const anew = await job.put(one.url, key, 'another record');
  expect(anew.body).toMatchObject({ version: 1 });
  expect(anew.body['id']).not.toBe(id);
});

test('what expired is gone at its time, from the cache too, and is destroyed by the next sweep with its event', async () => {
  const key = newKey();
  const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
  expect((await job.put(one.url, key, 'x', { 'postern-expires-at': inAnHour })).status).toBe(201);
  expect((await get(key)).headers['postern-expires-at']).toBe(inAnHour);
  const id = await job.idOf(one.url, key);
  await sql("update record_versions set expires_at = now() - interval '1 second' where record_id = $1", [id]);
  await sql("update records set live_until = now() - interval '1 second' where id = $1", [id]);
  expect((await get(key)).status).toBe(404);
  expect((await act(key, 'undelete', {})).status).toBe(404);

  await world.sweep();
  expect(await lastEvent()).toMatchObject({
    action: 'record.destroyed',
    details: { versions: ['1'], cause: 'expired' },
  });
  expect(await versionsOf(key)).toEqual([[1, 'destroyed']]);
  const past = new Date(Date.now() - 1_000).toISOString();
  expect((await job.put(one.url, key, 'x', { 'postern-expires-at': past })).status).toBe(400);
});

test('what was deleted is kept as long as it can be restored, and then destroyed', async () => {
  const [old, young] = [newKey(), newKey()];
  for (const key of [old, young]) {
    await job.put(one.url, key, 'x');
    await remove(key);
  }
  const { rows } = await sql('select id from records order by created_at desc limit 2');
  await sql("update record_versions set deleted_at = now() - interval '31 days' where record_id = $1", [rows[1].id]);
  await world.sweep();
  expect(await versionsOf(old)).toEqual([[1, 'destroyed']]);
  expect(await versionsOf(young)).toEqual([[1, 'deleted']]);
});

test('a list has every key with its prefix once, whatever the page size, and nobody else’s; keys stand nowhere in clear', async () => {
  const root = `list-${randomBytes(4).toString('hex')}`;
  const keys = [`${root}/a`, `${root}/a/`, `${root}/b/1`, `${root}/b/2`, `${root}/b/c/3`, `${root}b`, `${root}/é`];
  for (const key of keys) await job.put(one.url, key, 'x');
  await portal.put(one.url, `${root}/b/portal`, 'x');
  await job.put(one.url, `${root}/gone`, 'x');
  await remove(`${root}/gone`);
  const walk = async (prefix: string, limit: number, more = '') => {
    const found: string[] = [];
    for (let cursor = ''; ;) {
      const query = `?prefix=${encodeURIComponent(prefix)}&limit=${limit}${cursor && `&cursor=${cursor}`}${more}`;
      const { status, body } = await job.send(`${two.url}/v1/records${query}`);
      expect(status).toBe(200);
      found.push(...(body['records'] as { key: string }[]).map(({ key }) => key));
      if (body['next'] === null) return found.toSorted();
      cursor = String(body['next']);
    }
  };
  for (const limit of [1, 2, 100]) {
    expect(await walk(root, limit)).toEqual(keys.toSorted());
    expect(await walk(`${root}/b/`, limit)).toEqual(keys.filter((key) => key.startsWith(`${root}/b/`)).toSorted());
    expect(await walk(`${root}/b/c`, limit)).toEqual([`${root}/b/c/3`]);
    expect(await walk(`${root}/a/`, limit)).toEqual([`${root}/a/`]);
    expect(await walk(`${root}/none/`, limit)).toEqual([]);
  }
  expect(await walk(`${root}/g`, 100, '&deleted=true')).toEqual([`${root}/gone`]);
  const { rows } = await sql('select r::text as text from records r');
  expect(rows.some(({ text }: { text: string }) => text.includes(Buffer.from(root).toString('hex')))).toBe(false);
  expect(await lastEvent()).toMatchObject({ action: 'record.listed' });
  for (const query of ['?cursor=x', '?cursor=IiI', '?limit=0', '?limit=201', '?deleted=perhaps', '?prefix=%00'])
    expect((await job.send(`${one.url}/v1/records${query}`)).status).toBe(400);
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

test('a batch does what it can, in order, and says of each item what became of it; each is an event', async () => {
  const [a, b] = [newKey(), newKey()];
  await job.put(one.url, b, Buffer.from([255]));
  const before = (await sql('select count(*)::int as n from audit_outbox')).rows[0].n as number;
  const operations = [
    { op: 'put', key: a, payload: { text: 'ä' }, metadata: { m: '1' }, if_none_match: '*' },
    { op: 'put', key: a, payload: { text: 'again' }, if_none_match: '*' },
    { op: 'get', key: a },
    { op: 'get', key: b },
    { op: 'get', key: newKey() },
    { op: 'put', key: b, payload: { text: '{' }, type: 'application/json' },
    { op: 'put', key: b, payload: { base64: 'AAE=' } },
    { op: 'get', key: b, version: 2 },
    { op: 'delete', key: a },
    { op: 'get', key: a },
  ];
  const { status, body } = await job.send(`${one.url}/v1/record-batches`, { method: 'POST', body: { operations } });
  expect(status).toBe(200);
  expect(body['results']).toMatchObject([
    { key: a, status: 201, version: 1 },
    { key: a, status: 412, code: 'precondition_failed' },
    { key: a, status: 200, payload: { text: 'ä' }, metadata: { m: '1' }, type: 'text/plain; charset=utf-8' },
    { key: b, status: 200, payload: { base64: '/w==' } },
    { status: 404, code: 'record_not_found' },
    { key: b, status: 400, code: 'malformed_json' },
    { key: b, status: 200, version: 2 },
    { key: b, status: 200, version: 2, payload: { base64: 'AAE=' } },
    { key: a, status: 204 },
    { key: a, status: 404, code: 'record_not_found' },
  ]);
  const after = (await sql('select count(*)::int as n from audit_outbox')).rows[0].n as number;
  expect(after - before).toBe(operations.length + 1);
  expect(await lastEvent()).toMatchObject({ action: 'records.batched', details: { count: 10, failed: 4 } });
});

test('a batch that writes needs the scope of writes; one that is sent again writes nothing twice', async () => {
  const key = newKey();
  const operations = [{ op: 'put', key, payload: { text: 'x' } }];
  const send = (token?: string) =>
    job.send(`${one.url}/v1/record-batches`, {
      method: 'POST',
      body: { operations },
      headers: { 'idempotency-key': key },
      ...(token === undefined ? {} : { token }),
    });
  const refused = await send(await job.token({ scopes: ['records:read'] }));
  expect(refused).toMatchObject({ status: 403, body: { code: 'insufficient_scope' } });
  expect(refused.headers['www-authenticate']).toContain('records:write');
  for (let sent = 0; sent < 2; sent += 1)
    expect((await send()).body['results']).toMatchObject([{ status: 201, version: 1 }]);
  expect(await versionsOf(key)).toEqual([[1, 'live']]);
});

test('an auditor reads what stands in the database as versions and hashes, to hold against the log; nobody else does (R34)', async () => {
  const key = newKey();
  const written = await job.put(one.url, key, 'x');
  const { id } = written.body;
  const write = await lastEvent();
  const token = await job.token({ scopes: ['records:audit'] });
  const exported: Record<string, unknown>[] = [];
  for (let cursor = ''; ;) {
    const { status, body } = await job.send(`${one.url}/v1/record-hashes?limit=7${cursor && `&cursor=${cursor}`}`, {
      token,
    });
    expect(status).toBe(200);
    exported.push(...(body['hashes'] as Record<string, unknown>[]));
    if (body['next'] === null) break;
    cursor = String(body['next']);
  }
  const mine = exported.filter((each) => each['id'] === id);
  const { ciphertextHash } = write['details'] as { ciphertextHash: string };
  expect(mine).toEqual([
    { id, namespace: 'job', version: 1, newest: true, state: 'live', ciphertext_hash: ciphertextHash },
  ]);
  const { rows } = await sql('select count(*)::int as n from record_versions');
  expect(exported.length).toBe(rows[0].n);
  expect(JSON.stringify(exported)).not.toContain(key);
  expect((await job.send(`${one.url}/v1/record-hashes`)).status).toBe(403);

  await sql("update record_versions set sealed = sealed || '\\x00' where record_id = $1", [id]);
  const { rows: stored } = await sql('select sealed from record_versions where record_id = $1', [id]);
  const { body } = await job.send(`${one.url}/v1/record-hashes?limit=500`, { token });
  const changed = (body['hashes'] as Record<string, unknown>[]).find((each) => each['id'] === id);
  expect(changed?.['ciphertext_hash']).toBe(createHash('sha256').update(stored[0].sealed).digest('hex'));
  expect(changed?.['ciphertext_hash']).not.toBe(ciphertextHash);
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
