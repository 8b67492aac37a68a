import { randomUUID } from 'node:crypto';
import { PARTICIPANTS } from '@postern/branch-keys/destruction';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openWorld, type Caller, type Replica, type World } from './crypto-store.ts';
import { openParticipant } from './participant.ts';

let world: World;
let api: Replica;
let job: Caller;
let others: Awaited<ReturnType<typeof openParticipant>>[] = [];

beforeAll(async () => {
  world = await openWorld();
  api = await world.replica(SHORT);
  job = await world.caller('job');
});
afterAll(async () => {
  for (const one of others) await one.close();
  await world.close();
});

/** Branch keys leave the memory after a second, and what is denied goes as soon. */
const SHORT = { POSTERN_BRANCH_KEY_SECONDS: '1' };
const SCOPES = ['records:read', 'records:write', 'keys:read', 'keys:write', 'keys:destroy', 'keys:operate'];

const as = (tenant: string, sub = 'admin-ada', roles = ['admin']) => ({
  async send(method: string, path: string, body?: unknown, url = api.url) {
    const token = await job.token({ scopes: SCOPES, tenant, sub, roles });
    return job.send(`${url}${path}`, { method, token, ...(body === undefined ? {} : { body }) });
  },
});
const operator = as('operations', 'oda', ['operator']);

const sql = async <Row extends Record<string, unknown>>(text: string, values: unknown[] = []) => {
  const { rows } = await world.postgres.asAdmin((client) => client.query(text, values), world.database.name);
  return rows as Row[];
};

const later = (minutes: number) => () => new Date(Date.now() + minutes * 60_000);
/** A worker at that many minutes from now; its rounds run at once. */
const worker = (minutes: number) => world.replica({ ...SHORT, POSTERN_ROLE: 'worker' }, { now: later(minutes) });

async function until<T>(look: () => Promise<T | undefined | false>): Promise<T> {
  for (let turn = 0; turn < 2_400; turn += 1) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('it did not come to hold');
}

type Part = { service: string; state: string; removed: Record<string, number> | null; keys: number | null };
const receiptOf = async (tenant: string) => {
  const { body } = await operator.send('GET', `/v1/key-destructions/${tenant}`);
  return body as { state: string; complete_after: string | null; services: Part[] };
};
const keysOf = (tenant: string) => sql('select 1 from branch_keys where tenant = $1', [tenant]);

/** Asked for by one administrator and approved by another. */
async function approved(tenant: string) {
  const [ada, bob] = [as(tenant), as(tenant, 'admin-bob')];
  const { body } = await ada.send('POST', '/v1/key-destruction', { tenant });
  const { id } = body;
  expect((await bob.send('POST', '/v1/key-destruction/approve', { id })).body['state']).toBe('approved');
  return { ada, bob, id };
}

test('a destruction takes two persons and a waiting time, and can be called off until it has begun (R33)', async () => {
  const tenant = `t-${randomUUID().slice(0, 8)}`;
  const [ada, bob] = [as(tenant), as(tenant, 'admin-bob')];
  await ada.send('POST', '/store', { key: 'a', payload: 'kept' });
  expect((await ada.send('POST', '/v1/key-destruction', { tenant: 'acme' })).status).toBe(409);
  const asked = await ada.send('POST', '/v1/key-destruction', { tenant });
  expect(asked).toMatchObject({ status: 202, body: { state: 'requested', services: [] } });
  const { id } = asked.body;
  expect((await ada.send('POST', '/v1/key-destruction', { tenant })).status).toBe(409);
  expect((await ada.send('POST', '/v1/key-destruction/approve', { id })).body['code']).toBe('same_person');
  expect((await bob.send('POST', '/v1/key-destruction/approve', { id: randomUUID() })).status).toBe(409);
  const who = { scopes: SCOPES, tenant, sub: 'admin-bob', roles: ['admin'], actors: ['admin-ada'] };
  const token = await job.token(who);
  const acted = await job.send(`${api.url}/v1/key-destruction/approve`, { method: 'POST', body: { id }, token });
  expect(acted.body['code']).toBe('same_person');
  expect((await bob.send('POST', '/v1/key-destruction/approve', { id })).body['state']).toBe('approved');

  await (await worker(30)).close();
  expect((await ada.send('GET', '/retrieve/a')).body['payload']).toBe('kept');
  expect((await ada.send('DELETE', '/v1/key-destruction')).body['state']).toBe('cancelled');
  await (await worker(61)).close();
  expect((await ada.send('GET', '/retrieve/a')).body['payload']).toBe('kept');
  expect((await as(tenant, 'oda').send('GET', `/v1/key-destructions/${tenant}`)).body['code']).toBe('role_missing');
  expect((await operator.send('GET', '/v1/key-destructions/nobody')).status).toBe(404);
});

test('a destruction reaches every service, waits for the one that is down, ends the keys here last, and its receipt lists all five (R33)', async () => {
  const tenant = `t-${randomUUID().slice(0, 8)}`;
  await as(tenant).send('POST', '/store', { key: 'a', payload: 'gone soon' });
  others = await Promise.all(PARTICIPANTS.map((name) => openParticipant(world, name, tenant, later(61))));
  const [down, ...up] = others;
  await Promise.all(up.map((one) => one.start()));
  const { ada } = await approved(tenant);
  const backup = {
    owners: await sql('select * from branch_key_owners where tenant = $1', [tenant]),
    keys: await sql('select * from branch_keys where tenant = $1', [tenant]),
    records: await sql(
      'select id, tenant, namespace, address, sealed_key, version, keep_versions, created_at, updated_at from records where tenant = $1',
      [tenant],
    ),
  };

  const first = await worker(61);
  await until(async () => (await receiptOf(tenant)).services.filter(({ state }) => state === 'destroyed').length === 4);
  // What was on the bus for the service that is down is lost.
  await world.redis.bus.asAdmin((client) => client.flushDb());
  await first.close();
  const pending = await receiptOf(tenant);
  expect(pending).toMatchObject({ state: 'denied', complete_after: null });
  expect(pending.services.filter(({ state }) => state === 'pending')).toMatchObject([{ service: 'auth-manager' }]);
  // This replica reads within seconds who has ended.
  await until(async () => (await ada.send('GET', '/retrieve/a')).body['code'] === 'invalid_token');
  expect((await ada.send('POST', '/store', { key: 'b', payload: 'more' })).status).toBe(401);
  expect((await ada.send('DELETE', '/v1/key-destruction')).status).toBe(401);
  expect(await sql('select 1 from records where tenant = $1', [tenant])).toEqual([]);
  expect(await keysOf(tenant)).toHaveLength(3);
  for (const one of up) {
    expect(one.ended.has(tenant)).toBe(true);
    expect(await one.left()).toEqual({ things: 0, keys: 0 });
  }
  expect(await down!.left()).toEqual({ things: 7, keys: 3 });

  const second = await worker(61);
  await down!.start();
  await until(async () => (await receiptOf(tenant)).state === 'destroyed');
  await second.close();
  expect(await keysOf(tenant)).toEqual([]);
  const { services, complete_after } = await receiptOf(tenant);
  expect(complete_after).toEqual(expect.stringMatching(/^\d{4}-/));
  expect(services).toEqual(
    ['audit-sink', 'auth-manager', 'crypto-store', 'key-proxy', 'token-exchange'].map((service) =>
      expect.objectContaining({
        service,
        state: 'destroyed',
        keys: 1,
        listed: true,
        removed: service === 'crypto-store' ? { records: 1 } : { things: 7 },
      }),
    ),
  );
  await restoresNothing(tenant, backup);
});

/** A backup from before the destruction is put back; what it holds is denied and removed again, from the list alone. */
async function restoresNothing(
  tenant: string,
  backup: Record<'owners' | 'keys' | 'records', Record<string, unknown>[]>,
) {
  await sql('delete from ended_tenants where tenant = $1', [tenant]);
  await sql("update branch_key_owners set state = 'enabled' where tenant = $1", [tenant]);
  await sql(
    `update branch_key_versions set state = 'active', destroy_after = null where branch_key_id = any($1) and number = 1`,
    [backup.owners.map((owner) => owner['branch_key_id'])],
  );
  for (const [table, rows] of [
    ['branch_keys', backup.keys],
    ['records', backup.records],
  ] as const) {
    for (const row of rows) {
      const names = Object.keys(row);
      const places = names.map((_, at) => `$${at + 1}`);
      await sql(`insert into ${table} (${names.join(', ')}) values (${places.join(', ')})`, Object.values(row));
    }
  }
  expect(await keysOf(tenant)).toHaveLength(3);
  const restarted = await world.replica({ ...SHORT, POSTERN_ROLE: 'all' });
  expect(await keysOf(tenant)).toEqual([]);
  expect((await as(tenant).send('GET', '/retrieve/a', undefined, restarted.url)).status).toBe(401);
  await until(async () => (await sql('select 1 from records where tenant = $1', [tenant])).length === 0);
}
