import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newKey, openRecords, type Records } from './records-world.ts';

let world: Records['world'];
let one: Records['one'];
let job: Records['job'];
let portal: Records['portal'];

beforeAll(async () => {
  ({ world, one, job, portal } = await openRecords());
});

afterAll(() => world.close());

test('two workloads of one client do not meet under one Idempotency-Key: each has records of its own', async () => {
  const key = newKey();
  const headers = { 'idempotency-key': randomUUID(), 'content-type': 'text/plain' };
  const put = async (caller: typeof job) => {
    const token = await caller.token({ clientId: 'shared', sub: 'alice', actors: ['shared'] });
    return caller.record(one.url, key, { method: 'PUT', body: Buffer.from('x'), headers, token });
  };
  expect((await put(job)).status).toBe(201);
  expect(await put(portal)).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
  expect((await put(job)).body).toMatchObject({ version: 1 });
  expect((await portal.record(one.url, key)).status).toBe(404);
});
