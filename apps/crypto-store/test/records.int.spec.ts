import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openWorld, type Caller, type Replica, type World } from './crypto-store.ts';

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

/** The events of the outbox that name this record key. */
async function eventsOf(key: string) {
  const { rows } = await sql('select canonical from audit_outbox');
  return rows
    .map(({ canonical }: { canonical: Buffer }) => JSON.parse(canonical.toString()) as Record<string, unknown>)
    .filter(({ details }) => (details as { key?: string }).key === key)
    .toSorted((a, b) => String(a['time']).localeCompare(String(b['time'])));
}

test('the walk of the seed: a stored record comes from the cache, and after a flush from the database', async () => {
  const key = newKey();
  const stored = await job.store(one.url, key, 'This is my secret data');
  expect(stored).toMatchObject({ status: 200, body: { status: 'stored', key } });
  const found = (source: string) => ({ status: 200, body: { key, payload: 'This is my secret data', source } });
  expect(await job.retrieve(one.url, key)).toMatchObject(found('cache'));
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
  const { rows } = await sql('select version from records where key = $1', [key]);
  expect(rows).toEqual([{ version: '10' }]);
  const written = (await eventsOf(key)).map(({ resource }) => (resource as { version: number }).version);
  expect(written.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('each write and each read is one event, of the caller, with the version it saw', async () => {
  const key = newKey();
  await job.store(one.url, key, 'x');
  await job.retrieve(one.url, key);
  const events = await eventsOf(key);
  expect(events).toMatchObject([
    {
      action: 'record.written',
      outcome: 'success',
      tenant: 'acme',
      actor: { workload: 'job' },
      resource: { version: 1 },
    },
    { action: 'record.read', outcome: 'success', details: { source: 'cache' }, resource: { version: 1 } },
  ]);
  const { rows } = await sql('select sealed from records where key = $1', [key]);
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
  await sql('update records set sealed = (select sealed from records where key = $2) where key = $1', [a, b]);
  await expectUnreadable();

  await sql('update records set key = $1 where key = $2', [`${b}-old`, a]);
  await sql('update records set key = $1 where key = $2', [a, b]);
  await expectUnreadable();

  await sql('update records set sealed = substring(sealed for 100) where key = $1', [a]);
  await expectUnreadable();
});

test('an older version put back under the row of a newer one is refused (R34)', async () => {
  const key = newKey();
  await job.store(one.url, key, 'old');
  const { rows } = await sql('select sealed from records where key = $1', [key]);
  await job.store(one.url, key, 'new');
  await sql('update records set sealed = $2 where key = $1', [key, rows[0].sealed]);
  await world.redis.cache.asAdmin((client) => client.flushDb());
  expect((await job.retrieve(one.url, key)).body['code']).toBe('record_unreadable');
});

test('a record of another workload moved into the namespace of the caller is refused', async () => {
  const key = newKey();
  await portal.store(one.url, key, 'of the portal');
  await sql("update records set namespace = 'job' where key = $1", [key]);
  expect((await job.retrieve(one.url, key)).body['code']).toBe('record_unreadable');
});
