import { randomUUID } from 'node:crypto';
import { verifyWorkloadSignature } from '@postern/mtls';
import { DEVELOPMENT_TRUST_DOMAIN, spiffeIdOf } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { CERTIFICATE_TYPE, type KeyCertificate } from '../src/keys/certificate.ts';
import { openWorld, type Caller, type Replica, type World } from './crypto-store.ts';

let world: World;
let api: Replica;
let job: Caller;

beforeAll(async () => {
  world = await openWorld();
  api = await world.replica();
  job = await world.caller('job');
});

afterAll(() => world.close());

const SCOPES = ['records:read', 'records:write', 'keys:read', 'keys:write', 'keys:destroy'];
type Who = { tenant?: string; sub?: string; roles?: string[] };

/** Somebody of a tenant, an administrator unless said otherwise. */
const as = ({ tenant = 'acme', sub = 'admin-ada', roles = ['admin'] }: Who = {}) => {
  const token = () => job.token({ scopes: SCOPES, tenant, sub, roles });
  return {
    async send(method: string, path: string, body?: unknown, url = api.url) {
      return job.send(`${url}${path}`, { method, token: await token(), ...(body === undefined ? {} : { body }) });
    },
  };
};

const sql = async <Row extends Record<string, unknown>>(text: string, values: unknown[] = []) => {
  const { rows } = await world.postgres.asAdmin((client) => client.query(text, values), world.database.name);
  return rows as Row[];
};

const put = async (tenant: string, key: string, payload: string) => {
  const answer = await as({ tenant }).send('POST', '/store', { key, payload });
  expect(answer.status).toBe(200);
};

/** A worker at that many minutes from now; its rounds run at once. */
const worker = (minutes = 0) =>
  world.replica({ POSTERN_ROLE: 'worker' }, { now: () => new Date(Date.now() + minutes * 60_000) });

async function until<T>(look: () => Promise<T | undefined | false>): Promise<T> {
  for (let turn = 0; turn < 2_400; turn += 1) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('it did not come to hold');
}

const finished = (tenant: string, id: unknown) =>
  until(async () => {
    const { body } = await as({ tenant }).send('GET', `/v1/jobs/${String(id)}`);
    return body['state'] === 'done' && (body['result'] as { certificate: string; rewrapped: number; unused: number[] });
  });

const versionsOf = async (tenant: string) => {
  const { body } = await as({ tenant }).send('GET', '/v1/keys/records');
  return (body['versions'] as { number: number; state: string }[]).map(({ number, state }) => [number, state]);
};

test('an owner sees keys and versions, rotates, sets the schedule; only an administrator of the tenant does', async () => {
  const tenant = `t-${randomUUID().slice(0, 8)}`;
  await put(tenant, 'a', 'x');
  const owner = as({ tenant });
  expect((await owner.send('GET', '/v1/keys')).body['keys']).toHaveLength(1);
  const rotated = await owner.send('POST', '/v1/keys/records/rotate');
  expect(rotated).toMatchObject({ status: 200, body: { active_version: 2, state: 'enabled', rotation_days: 90 } });
  const scheduled = await owner.send('PATCH', '/v1/keys/records', { rotation_days: 7 });
  expect(scheduled.body).toMatchObject({ rotation_days: 7 });
  expect(await versionsOf(tenant)).toEqual([
    [2, 'active'],
    [1, 'decrypt-only'],
  ]);
  const user = as({ tenant, sub: 'alice', roles: ['user'] });
  expect((await user.send('POST', '/v1/keys/records/rotate')).body['code']).toBe('role_missing');
  expect((await as({ tenant: 'other' }).send('GET', '/v1/keys/records')).body['code']).toBe('key_not_found');
});

test('below the minimum decrypt version nothing opens at any replica, whatever its memory and the cache hold (R32, R33)', async () => {
  const tenant = `t-${randomUUID().slice(0, 8)}`;
  const owner = as({ tenant });
  await put(tenant, 'a', 'old');
  expect((await owner.send('GET', '/retrieve/a')).status).toBe(200);
  await owner.send('POST', '/v1/keys/records/rotate');
  await put(tenant, 'b', 'new');
  expect((await owner.send('PATCH', '/v1/keys/records', { minimum_decrypt_version: 3 })).status).toBe(409);
  expect((await owner.send('PATCH', '/v1/keys/records', { minimum_decrypt_version: 2 })).status).toBe(200);
  expect((await owner.send('GET', '/retrieve/a')).status).toBe(422);
  expect((await owner.send('GET', '/retrieve/b')).status).toBe(200);
  await owner.send('PATCH', '/v1/keys/records', { minimum_decrypt_version: 1 });
  expect((await owner.send('PATCH', '/v1/keys/records/versions/1', { state: 'disabled' })).status).toBe(200);
  expect((await owner.send('GET', '/retrieve/a')).status).toBe(422);
  expect((await owner.send('PATCH', '/v1/keys/records/versions/2', { state: 'disabled' })).status).toBe(409);
});

test('a rewrap leaves every record as it was under the new version, through a stop and beside writers, and only its certificate allows the old version’s end (R31)', async () => {
  const tenant = `t-${randomUUID().slice(0, 8)}`;
  const owner = as({ tenant });
  for (let n = 0; n < 30; n += 1) await put(tenant, `k/${n}`, `payload ${n}`);
  await put(tenant, 'k/0', 'second');
  const select = () =>
    sql<{ id: string; version: string; sealed: Buffer; key_version: string; created_at: Date; updated_at: Date }>(
      `select r.id, v.version, v.sealed, v.key_version, v.created_at, r.updated_at
         from record_versions v join records r on r.id = v.record_id where r.tenant = $1 order by r.id, v.version`,
      [tenant],
    );
  const before = await select();
  const tags = await Promise.all(
    [0, 1, 2].map(async (n) => (await owner.send('GET', `/v1/records/k%2F${n}`)).headers['etag']),
  );
  await owner.send('POST', '/v1/keys/records/rotate');
  const early = await owner.send('DELETE', '/v1/keys/records/versions/1');
  expect(early).toMatchObject({ status: 409, body: { code: 'key_certificate_missing' } });

  const started = await owner.send('POST', '/v1/keys/records/rewrap', { per_second: 10 });
  expect(started.status).toBe(202);
  const first = await worker();
  await until(async () => {
    const { body } = await owner.send('GET', `/v1/jobs/${String(started.body['job'])}`);
    return (body['progress'] as { done: number }).done > 0;
  });
  await put(tenant, 'k/5', 'written meanwhile');
  await first.close();
  const half = await sql<{ count: number }>(
    'select count(*)::int as count from record_versions v join records r on r.id = v.record_id where tenant = $1 and v.key_version = any($2)',
    [tenant, [...new Set(before.map(({ key_version }) => key_version))]],
  );
  expect(half[0]?.count).toBeGreaterThan(0);
  const second = await worker();
  const result = await finished(tenant, started.body['job']);
  expect(result).toMatchObject({ unused: [1], unreadable: 0 });

  const after = await select();
  const places = (rows: typeof before) =>
    rows.map(({ id, version, created_at }) => [id, version, created_at.getTime()]);
  expect(places(after)).toEqual(expect.arrayContaining(places(before)));
  expect(new Set(after.map(({ key_version }) => key_version)).size).toBe(1);
  const messageId = ({ sealed }: { sealed: Buffer }) => sealed.toString('hex', 3, 35);
  expect(new Set([...before, ...after].map(messageId)).size).toBe(before.length + after.length);
  for (const [n, expected] of [
    ['0', 'second'],
    ['1', 'payload 1'],
    ['5', 'written meanwhile'],
  ] as const) {
    expect((await owner.send('GET', `/retrieve/k%2F${n}`)).body['payload']).toBe(expected);
  }
  expect(
    await Promise.all([0, 1, 2].map(async (n) => (await owner.send('GET', `/v1/records/k%2F${n}`)).headers['etag'])),
  ).toEqual(tags);

  const { payload } = verifyWorkloadSignature(result.certificate, {
    typ: CERTIFICATE_TYPE,
    from: 'crypto-store',
    anchors: await world.postgres.authority.certificate(),
    workloads: {
      trustDomain: DEVELOPMENT_TRUST_DOMAIN,
      workloads: [{ name: 'crypto-store', spiffeId: spiffeIdOf('crypto-store') }],
    },
    now: new Date(),
    maxCharacters: 100_000,
  });
  const statement = JSON.parse(payload.toString()) as KeyCertificate;
  expect(statement).toMatchObject({ tenant, purpose: 'records', unused: [{ number: 1, messages: 0 }], inUse: [] });

  expect((await owner.send('DELETE', '/v1/keys/records/versions/1')).status).toBe(202);
  expect((await owner.send('PATCH', '/v1/keys/records/versions/1', { state: 'decrypt-only' })).status).toBe(409);
  await second.close();
  const later = await worker(6);
  await until(async () => (await versionsOf(tenant)).some(([, state]) => state === 'destroyed'));
  await later.close();
  expect(
    await sql("select 1 from branch_keys where tenant = $1 and type like 'branch:version:%'", [tenant]),
  ).toHaveLength(1);
  expect((await owner.send('GET', '/retrieve/k%2F0')).body['payload']).toBe('second');
});

test('a version whose messages cannot all be read is not certified', async () => {
  const tenant = `t-${randomUUID().slice(0, 8)}`;
  await put(tenant, 'a', 'x');
  await put(tenant, 'b', 'x');
  await sql(
    `update record_versions v set sealed = (select o.sealed from record_versions o where o.record_id <> v.record_id and o.record_id in (select id from records where tenant = $1) limit 1)
      where v.record_id = (select id from records where tenant = $1 order by id limit 1)`,
    [tenant],
  );
  await as({ tenant }).send('POST', '/v1/keys/records/rotate');
  const { body } = await as({ tenant }).send('POST', '/v1/keys/records/rewrap', {});
  const running = await worker();
  expect(await finished(tenant, body['job'])).toMatchObject({ unused: [], unreadable: 1, rewrapped: 3 });
  await running.close();
  expect((await as({ tenant }).send('DELETE', '/v1/keys/records/versions/1')).status).toBe(409);
});
