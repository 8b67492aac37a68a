import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { fromCache, openWorld, type Caller, type Replica, type World } from './crypto-store.ts';

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

/** Statements behind the service's back, in its database. */
const sql = (text: string, values: unknown[] = []) =>
  world.postgres.asAdmin((client) => client.query(text, values), world.database.name);

/** The events of the outbox about this record. */
async function eventsOf(id: string) {
  const { rows } = await sql('select canonical from audit_outbox');
  return rows
    .map(({ canonical }: { canonical: Buffer }) => JSON.parse(canonical.toString()) as Record<string, unknown>)
    .filter(({ resource }) => (resource as { id?: string } | undefined)?.id === id)
    .toSorted((a, b) => String(a['time']).localeCompare(String(b['time'])));
}

test('the walk of the seed: a stored record comes from the cache, and after a flush from the database', async () => {
  const key = newKey();
  const stored = await job.store(one.url, key, 'This is my secret data');
  expect(stored).toMatchObject({ status: 200, body: { status: 'stored', key } });
  const found = (source: string) => ({ status: 200, body: { key, payload: 'This is my secret data', source } });
  expect(await fromCache(() => job.retrieve(one.url, key))).toMatchObject(found('cache'));
  await world.redis.cache.asAdmin((client) => client.flushDb());
  expect(await job.retrieve(two.url, key)).toMatchObject(found('db'));
});

test('a key or payload may be any text, and comes back as it was', async () => {
  const key = 'Schlüssel / mit ?&%2e.. Zeichen 🗝';
  for (const payload of ['', 'ä🗝\u0000\n"', 'x'.repeat(1 << 20)]) {
    expect((await job.store(one.url, key, payload)).status).toBe(200);
    expect((await job.retrieve(two.url, key)).body).toMatchObject({ key, payload });
  }
});

test('a record that was never stored is a 404 problem', async () => {
  const answer = await job.retrieve(one.url, newKey());
  expect(answer).toMatchObject({ status: 404, body: { code: 'record_not_found', status: 404 } });
  expect(answer.headers['content-type']).toBe('application/problem+json');
});

test('what one workload stored no other finds, nor does another tenant, whatever scopes they hold', async () => {
  const key = newKey();
  await job.store(one.url, key, 'of the job');
  expect((await portal.retrieve(one.url, key)).status).toBe(404);
  const url = `${one.url}/retrieve/${key}`;
  expect((await job.send(url, { token: await job.token({ tenant: 'other' }) })).status).toBe(404);

  await portal.store(one.url, key, 'of the portal');
  expect((await job.retrieve(one.url, key)).body['payload']).toBe('of the job');
});

test('reading and writing need their own scope; a token bound to another certificate is refused (R8)', async () => {
  const key = newKey();
  const readOnly = await job.token({ scopes: ['records:read'] });
  const refused = await job.send(`${one.url}/store`, { method: 'POST', body: { key, payload: '' }, token: readOnly });
  expect(refused).toMatchObject({ status: 403, body: { code: 'insufficient_scope' } });
  expect(refused.headers['www-authenticate']).toContain('scope="records:write"');
  const stolen = await portal.send(`${one.url}/retrieve/${key}`, { token: readOnly });
  expect(stolen.status).toBe(401);
});

test('a read after an acknowledged write sees it, on every replica, while writes go on (R32)', async () => {
  const key = newKey();
  let acknowledged = 0;
  const write = async (count: number) => {
    const answer = await job.store(count % 2 ? one.url : two.url, key, String(count));
    expect(answer.status).toBe(200);
    acknowledged = Math.max(acknowledged, count);
  };
  await write(1);
  let stale = 0;
  let reads = 0;
  const reader = async (url: string) => {
    while (acknowledged < 60) {
      const before = acknowledged;
      const { status, body } = await job.retrieve(url, key);
      expect(status).toBe(200);
      reads += 1;
      if (Number(body['payload']) < before) stale += 1;
    }
  };
  const readers = [one.url, two.url, one.url, two.url].map(reader);
  for (let count = 2; count <= 60; count += 1) await write(count);
  await Promise.all(readers);
  expect({ stale, some: reads > 20 }).toEqual({ stale: 0, some: true });
});

test('ten who write one record at once all succeed, one version after the other', async () => {
  const key = newKey();
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, n) => job.store(n % 2 ? one.url : two.url, key, `${n}`)),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200));
  const id = await job.idOf(one.url, key);
  const { rows } = await sql('select version from records where id = $1', [id]);
  expect(rows).toEqual([{ version: '10' }]);
  const writes = (await eventsOf(id)).filter(({ action }) => action === 'record.written');
  const written = writes.map(({ resource }) => (resource as { version: number }).version);
  expect(written.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('each write and each read is one event, of the caller, with the version it saw', async () => {
  const key = newKey();
  await job.store(one.url, key, 'x');
  const read = await job.retrieve(one.url, key);
  const id = await job.idOf(two.url, key);
  const events = (await eventsOf(id)).slice(0, 2);
  expect(events).toMatchObject([
    {
      action: 'record.written',
      outcome: 'success',
      tenant: 'acme',
      actor: { workload: 'job' },
      resource: { version: 1 },
    },
    { action: 'record.read', outcome: 'success', details: { source: read.body['source'] }, resource: { version: 1 } },
  ]);
  const { rows } = await sql('select sealed from record_versions where record_id = $1', [id]);
  const hash = createHash('sha256').update(rows[0].sealed).digest('hex');
  expect(events[0]?.['details']).toMatchObject({ bytes: 1, ciphertextHash: hash });
});

test('sealed bytes moved between two rows are refused, with one answer for all that is wrong with a record', async () => {
  const [a, b] = [newKey(), newKey()];
  await job.store(one.url, a, 'of a');
  await job.store(one.url, b, 'of b');
  const unreadable = { status: 422, body: { code: 'record_unreadable' } };
  const expectUnreadable = async () => {
    await world.redis.cache.asAdmin((client) => client.flushDb());
    expect(await job.retrieve(one.url, a)).toMatchObject(unreadable);
  };
  const [idOfA, idOfB] = await Promise.all([job.idOf(one.url, a), job.idOf(one.url, b)]);
  const moved = 'select v.sealed from record_versions v where v.record_id = $2';
  await sql(`update record_versions set sealed = (${moved}) where record_id = $1`, [idOfA, idOfB]);
  await expectUnreadable();

  const { rows } = await sql('select address from records where id = $1', [idOfA]);
  await sql('update records set address = sha256(address) where id = $1', [idOfA]);
  await sql('update records set address = $2 where id = $1', [idOfB, rows[0].address]);
  await expectUnreadable();

  await sql('update record_versions set sealed = substring(sealed for 100) where record_id = $1', [idOfB]);
  await expectUnreadable();
});

test('an older version put back under the row of a newer one is refused (R34)', async () => {
  const key = newKey();
  await job.store(one.url, key, 'old');
  const id = await job.idOf(one.url, key);
  const { rows } = await sql('select sealed from record_versions where record_id = $1', [id]);
  await job.store(one.url, key, 'new');
  await sql('update record_versions set sealed = $2 where record_id = $1 and version = 2', [id, rows[0].sealed]);
  await world.redis.cache.asAdmin((client) => client.flushDb());
  expect((await job.retrieve(one.url, key)).body['code']).toBe('record_unreadable');
});

test('a record of another workload moved into the namespace of the caller is refused', async () => {
  const key = newKey();
  await portal.store(one.url, key, 'of the portal');
  const id = await portal.idOf(one.url, key);
  const listed = async () => (await job.send(`${one.url}/v1/records`)).body;
  const before = Number((await listed())['unreadable']);
  await sql("update records set namespace = 'job' where id = $1", [id]);
  expect((await job.retrieve(one.url, key)).status).toBe(404);
  const body = await listed();
  expect(JSON.stringify(body)).not.toContain(key);
  expect(body['unreadable']).toBe(before + 1);
  await job.store(one.url, key, 'of the job');
  const { rows } = await sql('select address from records where id = $1', [await job.idOf(one.url, key)]);
  await sql('delete from records where address = $1', [rows[0].address]);
  await sql('update records set address = $2 where id = $1', [id, rows[0].address]);
  expect((await job.record(one.url, key)).body['code']).toBe('record_unreadable');
});
