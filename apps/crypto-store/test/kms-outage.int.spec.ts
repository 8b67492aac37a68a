import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { describeWith, realPart, testIssuer, type TestIssuer } from '@postern/testing';
import { createServiceRole, startAws } from '@postern/testing/aws';
import supertest from 'supertest';
import { fromCache, openWorld, type Caller, type Replica, type Sent, type World } from './crypto-store.ts';

const aws = await realPart('moto 5.2', startAws);
const MINUTE_MS = 60_000;

describeWith(aws, 'while KMS cannot be reached', (account) => {
  let realm: TestIssuer;
  let world: World;
  let replica: Replica;
  let job: Caller;
  /** The service's clock. */
  let time = Date.now();

  beforeAll(async () => {
    realm = await testIssuer({ kinds: ['provider-access'] });
    world = await openWorld();
    const tokenPath = join(await mkdtemp(join(tmpdir(), 'web-identity-')), 'token');
    const audience = 'sts.amazonaws.com';
    await writeFile(tokenPath, await realm.mint({ audience, sub: 'crypto-store', lifetimeSeconds: 3_600 }));
    const { endpoint, region, operator } = account;
    const kms = new KMSClient({ region, endpoint, credentials: operator });
    const keyArn = (await kms.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? '';
    kms.destroy();
    const { issuer } = realm.entry;
    const as = { role: 'postern-crypto-store', subject: 'crypto-store' };
    const roleArn = await createServiceRole(account, { ...as, issuer, keyArns: [keyArn] });
    replica = await world.replica(
      {
        POSTERN_ROOT_KEY: 'aws-kms',
        POSTERN_ROOT_KEY_ARN: keyArn,
        POSTERN_AWS_ROLE_ARN: roleArn,
        POSTERN_AWS_TOKEN_PATH: tokenPath,
        POSTERN_AWS_ENDPOINT: endpoint,
      },
      { now: () => new Date(time) },
    );
    job = await world.caller('job');
  });

  afterAll(async () => {
    await world.close();
    await realm.close();
    await account.close();
  });

  /** A request with a token that is good at the service's time. */
  const send = async (path: string, options: Sent & { tenant?: string } = {}) => {
    const { tenant = 'acme', ...sent } = options;
    const iat = Math.floor(time / 1_000);
    const token = await job.token({ tenant, claims: { iat, exp: iat + 300 } });
    return job.send(`${replica.url}${path}`, { ...sent, token });
  };
  const store = (key: string, payload: string, tenant?: string) =>
    send('/store', { method: 'POST', body: { key, payload }, ...(tenant === undefined ? {} : { tenant }) });
  const retrieve = (key: string) => send(`/retrieve/${key}`);
  const put = (key: string, payload: string) =>
    send(`/v1/records/${key}`, {
      method: 'PUT',
      body: Buffer.from(payload),
      headers: { 'content-type': 'text/plain' },
    });
  const get = (key: string) => send(`/v1/records/${key}`);
  const flush = () => world.redis.cache.asAdmin((client) => client.flushDb());

  /** What a write leaves behind: in the database, and in the cache. */
  async function left() {
    const count = async (from: string) => {
      const { rows } = await world.postgres.asAdmin(
        (client) => client.query(`select count(*)::int as n from ${from}`),
        world.database.name,
      );
      return Number(rows[0].n);
    };
    return {
      records: await count('records'),
      versions: await count('record_versions'),
      branchKeys: await count('branch_keys'),
      owners: await count('branch_key_owners'),
      written: await count(
        `audit_outbox where convert_from(canonical, 'UTF8')::jsonb @> '{"action":"record.written","outcome":"success"}'`,
      ),
      cached: await world.redis.cache.asAdmin((client) => client.dbSize()),
    };
  }

  async function readiness() {
    const { status, body } = await supertest(replica.urls.management).get('/health/ready');
    const { checks, without } = body as { checks: Record<string, string>; without: Record<string, string> };
    return { status, keys: checks['keys'], mode: without['keys'] };
  }
  const mode = 'branch keys in memory serve until their time, then 503 keys_unavailable';

  const refused = { status: 503, body: { code: 'keys_unavailable' }, headers: { 'retry-after': '1' } };

  test('branch keys in memory serve until their time, then 503 and nothing half-written; once KMS is back it goes on without a restart', async () => {
    expect((await store('seed', 'stored before')).status).toBe(200);
    expect((await put('record', 'put before')).status).toBe(201);
    account.cut(true);

    time += 4 * MINUTE_MS;
    // Its clock alone says how long it leaves a cache alone that took too long.
    const cached = await fromCache(() => ((time += 2_000), retrieve('seed')));
    expect(cached).toMatchObject({ status: 200, body: { payload: 'stored before' } });
    await flush();
    expect(await retrieve('seed')).toMatchObject({ status: 200, body: { payload: 'stored before', source: 'db' } });
    expect((await store('seed', 'stored during')).status).toBe(200);
    expect((await put('record', 'put during')).status).toBe(200);
    expect((await get('record')).bytes.toString()).toBe('put during');

    const before = await left();
    expect(await store('seed', 'of a tenant whose key is not in memory', 'other')).toMatchObject(refused);
    time += 2 * MINUTE_MS;
    expect(await store('seed', 'stored too late')).toMatchObject(refused);
    expect(await store('never', 'stored too late')).toMatchObject(refused);
    expect(await put('record', 'put too late')).toMatchObject(refused);
    // Both are in the cache, sealed: that is no way around the keys.
    for (const answer of [await retrieve('seed'), await get('record')]) {
      expect(answer).toMatchObject(refused);
      expect(answer.bytes.toString()).not.toContain('during');
    }
    expect(await left()).toEqual(before);
    expect(await readiness()).toEqual({ status: 200, keys: 'failing', mode });

    account.cut(false);
    time += 11_000;
    expect(await retrieve('seed')).toMatchObject({ status: 200, body: { payload: 'stored during' } });
    expect((await get('record')).bytes.toString()).toBe('put during');
    expect((await retrieve('never')).status).toBe(404);
    expect((await store('never', 'stored after')).status).toBe(200);
    expect((await store('seed', 'of the other tenant', 'other')).status).toBe(200);
    await becomes(async () => (await readiness()).keys === 'ok');
  });
});

/** Readiness is asked of the parts once a second at most. */
async function becomes(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1_000; tries += 1) {
    if (await holds()) return;
    await sleep(100);
  }
  throw new Error('it did not become so');
}
