import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { DUE } from '../src/records/sweep-records.ts';
import { fromCache } from './crypto-store.ts';
import { newKey, openRecords, type Records } from './records-world.ts';

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

test('what is deleted is gone for every reader, also from the cache, until it is restored; a later write is a later version', async () => {
  const key = newKey();
  await job.put(one.url, key, 'one');
  await job.put(one.url, key, 'two');
  await fromCache(() => get(key));
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

test('what a replica deletes whose clock is ahead is gone at once all the same', async () => {
  const ahead = await world.replica({}, { now: () => new Date(Date.now() + 20_000) });
  const [deleted, destroyed] = [newKey(), newKey()];
  for (const key of [deleted, destroyed]) {
    await job.put(one.url, key, 'x');
    await fromCache(() => get(key));
  }
  expect((await job.record(ahead.url, deleted, { method: 'DELETE' })).status).toBe(204);
  const asked = { method: 'POST', path: '/destroy', body: { versions: [1] } };
  expect((await job.record(ahead.url, destroyed, asked)).status).toBe(200);
  for (const key of [deleted, destroyed]) expect((await get(key)).status).toBe(404);
  const { body } = await job.send(`${one.url}/v1/records?limit=200`);
  const listed = (body['records'] as { key: string }[]).map(({ key }) => key);
  expect(listed).not.toEqual(expect.arrayContaining([deleted]));
  expect(listed).not.toEqual(expect.arrayContaining([destroyed]));
});

test('a cache that keeps what was deleted, because Redis heard nothing of it, gives it to nobody (R32)', async () => {
  const key = newKey();
  await job.put(one.url, key, 'x');
  const entries = () => world.redis.cache.asAdmin((client) => client.keys('*'));
  await fromCache(() => get(key));
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

test('a sweep looks at what has ended, and at none of what expires some day, however many', async () => {
  const key = newKey();
  await job.put(one.url, key, 'x');
  const id = await job.idOf(one.url, key);
  await sql(
    `insert into record_versions (record_id, version, sealed, bytes, created_at, expires_at)
     select $1, i, '\\x00', 0, now(), now() + interval '1 day' from generate_series(1000, 6000) i`,
    [id],
  );
  await sql('analyze record_versions');
  const { rows } = await sql(`explain (analyze, format json) ${DUE}`.replace('$1', '30'));
  const removed = [...JSON.stringify(rows).matchAll(/"Rows Removed by [^"]+":(\d+)/g)].map(([, many]) => Number(many));
  expect(Math.max(0, ...removed)).toBeLessThan(100);
  await sql('delete from record_versions where record_id = $1 and version >= 1000', [id]);
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
