import { leaksOf, newCanary } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { fromCache, openWorld, type Caller, type Replica, type World } from './crypto-store.ts';

let world: World;
let replica: Replica;
let job: Caller;

beforeAll(async () => {
  world = await openWorld();
  replica = await world.replica();
  job = await world.caller('job');
});

afterAll(() => world.close());

const canary = newCanary();
const leaks = (place: string, text: string) => leaksOf(canary, place, text);

/** Every row of every table, and every key and value of the cache. */
async function stored(): Promise<{ rows: string; cache: string }> {
  const rows = await world.postgres.asAdmin(async (client) => {
    const tables = await client.query(
      "select table_schema, table_name from information_schema.tables where table_schema in ('public', 'migrations')",
    );
    const dumps = [];
    for (const { table_schema, table_name } of tables.rows) {
      const { rows } = await client.query(`select * from "${table_schema}"."${table_name}"`);
      for (const row of rows)
        for (const value of Object.values(row))
          dumps.push(Buffer.isBuffer(value) ? value.toString('latin1') : JSON.stringify(value));
    }
    return dumps.join('\n');
  }, world.database.name);
  const cache = await world.redis.cache.asAdmin(async (client) => {
    const dumps = [];
    for (const name of await client.keys('*')) dumps.push(name, String(await client.getRange(name, 0, -1)));
    return dumps.join('\n');
  });
  return { rows, cache };
}

test('a secret that went through every route, in success and in every error, is in no log, row, cache entry, metric or problem', async () => {
  const body = { key: 'where-it-lives', payload: canary };
  expect((await job.store(replica.url, body.key, canary)).status).toBe(200);
  expect((await fromCache(() => job.retrieve(replica.url, body.key))).body['payload']).toBe(canary);

  const store = `${replica.url}/store`;
  const post = (options: object) => job.send(store, { method: 'POST', ...options });
  const refusals = [
    await post({ body: { ...body, unknown: canary } }),
    await post({ body: { ...body, key: 7 } }),
    await post({ body: [canary] }),
    await post({ body: { ...body, payload: canary.repeat(220_000) } }),
    await post({ body, token: canary }),
    await post({ body, token: null }),
    await post({ body, token: await job.token({ scopes: ['records:read'] }) }),
    await job.send(`${store}?unknown=${canary}`, { method: 'POST', body }),
    await job.send(store, { method: 'PUT', body }),
  ];
  const sql = (text: string) => world.postgres.asAdmin((client) => client.query(text), world.database.name);
  // Postgres puts the failing row into what it says of this one.
  await sql('alter table records add constraint broken check (version < 0) not valid');
  refusals.push(await post({ body: { ...body, key: 'another' } }));
  // The statement as a whole is refused: its event cannot be recorded either.
  await sql('revoke insert on records from crypto_store');
  refusals.push(await post({ body: { ...body, key: 'another' } }));
  expect(refusals.map(({ status }) => status)).toEqual([400, 400, 400, 413, 401, 401, 403, 400, 405, 500, 503]);

  const metrics = await (await fetch(`${replica.urls.management}/metrics`)).text();
  const { rows, cache } = await stored();
  expect(world.logged.length).toBeGreaterThan(10);
  expect(rows).toContain('record.written');
  expect(cache.length).toBeGreaterThan(100);
  expect([
    ...leaks('log', world.logged.join('')),
    ...leaks('problem', JSON.stringify(refusals)),
    ...leaks('metrics', metrics),
    ...leaks('rows', rows),
    ...leaks('cache', cache),
  ]).toEqual([]);
});
