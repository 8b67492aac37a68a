import { randomBytes, randomUUID } from 'node:crypto';
import { createPostern, type Postern } from '@postern/client';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openWorld, type World } from './crypto-store.ts';

let world: World;
let postern: Postern;
let as: { token: string };

beforeAll(async () => {
  world = await openWorld();
  const replica = await world.replica();
  const [job, leaf] = await Promise.all([world.caller('job'), world.postgres.authority.issue('job')]);
  postern = createPostern({ tls: () => leaf, urls: { cryptoStore: replica.url } });
  const scopes = ['records:read', 'records:write', 'records:audit'];
  as = { token: await job.token({ scopes, boundTo: leaf.thumbprint }) };
});

afterAll(async () => {
  await postern.close();
  await world.close();
});

const code = (call: Promise<unknown>) =>
  call.then(
    () => 'no error',
    (error: { code: string }) => error.code,
  );

test('text and bytes are put and got, with type, metadata, expiry and version', async () => {
  const key = `a/b ${randomUUID()}`;
  const expiresAt = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3_600_000);
  const written = await postern.records.put(key, 'Grüße', as, { metadata: { owner: 'Jürgen' }, expiresAt });
  expect(written).toMatchObject({ key, version: 1, bytes: 7 });
  expect(await postern.records.get(key, as)).toMatchObject({
    text: 'Grüße',
    type: 'text/plain; charset=utf-8',
    metadata: { owner: 'Jürgen' },
    expiresAt,
    etag: written.etag,
    id: written.id,
  });
  const bytes = randomBytes(1 << 20);
  await postern.records.put(key, bytes, as, { ifMatch: written.etag });
  const read = await postern.records.get(key, as);
  expect(Buffer.from(read.bytes).equals(bytes)).toBe(true);
  expect((await postern.records.get(key, as, { version: 1 })).text).toBe('Grüße');
  expect(await postern.records.getIfChanged(key, read.etag, as)).toBeNull();
  expect(await postern.records.getIfChanged(key, written.etag, as)).toMatchObject({ version: 2 });
});

test('conditions, deletion, restoring and destruction end in the service’s own codes', async () => {
  const key = randomUUID();
  const { etag } = await postern.records.put(key, 'x', as, { ifNoneMatch: '*', requireMatch: true });
  expect(await code(postern.records.put(key, 'y', as, { ifNoneMatch: '*' }))).toBe('precondition_failed');
  expect(await code(postern.records.put(key, 'y', as))).toBe('precondition_required');
  await postern.records.delete(key, as, { ifMatch: etag });
  expect(await code(postern.records.get(key, as))).toBe('record_not_found');
  await postern.records.put(key, 'z', as, { ifNoneMatch: '*', requireMatch: false });
  expect((await postern.records.undelete(key, as, { versions: [1] })).versions).toEqual([1]);
  await postern.records.destroy(key, { versions: [1] }, as);
  const { versions } = await postern.records.versions(key, as);
  expect(versions.map(({ version, state }) => [version, state])).toEqual([
    [2, 'live'],
    [1, 'destroyed'],
  ]);
  await postern.records.destroy(key, { all: true }, as);
  expect(await code(postern.records.versions(key, as))).toBe('record_not_found');
});

test('lists go page by page, batches give each item its result, and hashes are for the auditor', async () => {
  const root = randomUUID();
  const operations = Array.from({ length: 12 }, (_, n) => ({
    op: 'put' as const,
    key: `${root}/${n}`,
    payload: { text: `${n}` },
  }));
  const results = await postern.records.batch(operations, as, { idempotencyKey: root });
  expect(results.map(({ status }) => status)).toEqual(Array(12).fill(201));
  const keys = [];
  for await (const { key } of postern.records.listAll({ prefix: `${root}/`, limit: 5 }, as)) keys.push(key);
  expect(keys.toSorted()).toEqual(operations.map(({ key }) => key).toSorted());
  const [found, none] = await postern.records.batch(
    [
      { op: 'get', key: `${root}/7` },
      { op: 'get', key: 'none' },
    ],
    as,
  );
  expect(found).toMatchObject({ status: 200, payload: { text: '7' } });
  expect(none).toMatchObject({ status: 404, code: 'record_not_found' });
  const { hashes } = await postern.records.hashes({ limit: 500 }, as);
  expect(hashes.filter(({ id }) => id === found?.id)).toMatchObject([{ version: 1, state: 'live' }]);
});
