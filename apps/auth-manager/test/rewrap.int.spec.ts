import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Secret } from '@postern/runtime';
import { sealText } from '../src/grants/vault.ts';
import { rewrapServiceKeys } from '../src/provider/rewrap-service-keys.ts';
import { writeReply } from '../src/refresh/journal-reply.ts';
import type { Caller } from './caller.ts';
import { consented, HANDLE, SCOPES, startConsent, visit } from './consents.ts';
import { endOfJob } from './end-of-job.ts';
import { openProviderSide, type ProviderSide } from './provider-side.ts';
import { openWorld, type Replica, type World } from './world.ts';

let world: World;
let replica: Replica;
let portal: Caller;
let job: Caller;
let side: ProviderSide;

beforeAll(async () => {
  world = await openWorld({ rotation: 'off' });
  [replica, portal, job] = await Promise.all([
    world.replica({ POSTERN_ROLE: 'all' }),
    world.caller('portal'),
    world.caller('job'),
  ]);
  side = await openProviderSide(world);
});
afterAll(async () => {
  await side.close();
  await world.close();
});

const admin = () => portal.tokenFor('admin-ada', ['grants:read', 'grants:write'], { roles: ['admin'] });
const ask = async (path: string, body: unknown) =>
  portal.send(`${replica.api}${path}`, { token: await admin(), method: 'POST', body });

/** The versions that the rows of this service name, by table and column; every column of sealed bytes in the database. */
async function namedVersions(): Promise<Record<string, string[]>> {
  const columns = await world.query<{ table: string; column: string }>(
    `select table_name as table, column_name as column from information_schema.columns
      where table_schema = 'public' and data_type = 'bytea' and column_name like 'sealed%' order by 1, 2`,
  );
  const named: Record<string, string[]> = {};
  for (const { table, column } of columns) {
    const rows = await world.query<{ version: string }>(
      `select distinct sealed_key_version(${column})::text as version from ${table} where ${column} is not null`,
    );
    named[`${table}.${column}`] = rows.map(({ version }) => version);
  }
  return named;
}
const activeVersions = async () =>
  (await world.query<{ version: string }>("select version::text from branch_key_versions where state = 'active'")).map(
    ({ version }) => version,
  );

/** As many messages as are sealed under the tenant's key, but those of `provider_keys`, which are the service's. */
async function messages(): Promise<number> {
  const [found] = await world.query<{ count: number }>(
    `select ((select count(*) from grants where sealed_token is not null)
      + (select count(*) from refresh_attempts where state = 'replied')
      + (select count(*) from consents where sealed_flow is not null)
      + (select count(*) from provider_tokens)
      + (select count(*) from providers where sealed_secret is not null))::int as count`,
  );
  return found?.count ?? 0;
}

/** A rewrap of one message a second says from its first step how many there are; it is called off then. */
async function progressOfSlowRewrap(): Promise<unknown> {
  const slow = (await ask('/v1/admin/rewrap', { per_second: 1 })).body['job'];
  const path = `/v1/jobs/${String(slow)}`;
  for (let looks = 0; looks < 300; looks++) {
    const { body } = await portal.send(`${replica.api}${path}`, { token: await admin() });
    const progress = body['progress'] as { done: number; total: number } | null;
    if (progress && progress.done > 0) {
      await ask(`${path}/cancel`, undefined);
      await endOfJob(portal, replica, slow);
      return { total: progress.total, begun: progress.done < progress.total };
    }
    await sleep(100);
  }
  return 'none was told';
}

test('R31: after a rewrap no row names an older version: tokens, journalled replies, flows under way, provider tokens, client secrets, our keys', async () => {
  const grant = await consented(world, portal, replica, { username: 'audrey' });
  // Another replica, which has sealed under the older version and holds it in memory.
  const other = await world.replica({ POSTERN_PUBLIC_PORT: '0' });
  const store = async () => {
    const body = { refresh_token: await side.offlineToken('alice'), scopes: SCOPES, handle: HANDLE };
    const token = await portal.tokenFor('alice', ['grants:write']);
    return (await portal.send(`${other.api}/v1/grants`, { method: 'POST', token, body })).status;
  };
  expect(await store()).toBe(201);
  // A consent that waits at the provider, a reply that nobody has applied, a token of the provider's.
  const waiting = await startConsent(portal, replica, { username: 'audrey' });
  const { browser } = await visit(world, String(waiting.body['consent_url']), { username: 'audrey' });
  const reply = { rotated: undefined, repliedAt: new Date() };
  const [attempt, asked] = [crypto.randomUUID(), randomBytes(32)];
  const at = { tenant: 'acme' };
  await world.query(
    `insert into refresh_attempts (id, grant_id, generation, token_fingerprint, deadline, state, sealed_reply, created_at)
     select $1, id, generation, token_fingerprint, now(), 'replied', $2, now() from grants where id = $3`,
    [attempt, await sealText(side.vault, { ...at, what: 'reply', id: attempt }, writeReply(reply)), grant],
  );
  await world.query(
    `insert into provider_tokens (grant_id, asked, family, scopes, sealed_token, renew_at, expires_at)
     values ($1, $2, 1, '{}', $3, now(), now() + interval '1 hour')`,
    [grant, asked, await sealText(side.vault, { ...at, what: 'access', id: grant }, new Secret('a token'))],
  );
  // More of them than one step takes.
  await world.query(
    `insert into provider_tokens (grant_id, asked, family, scopes, sealed_token, renew_at, expires_at)
     select grant_id, sha256(asked || int4send(nth)), family, scopes, sealed_token, renew_at, expires_at
     from provider_tokens, generate_series(1, 60) as nth`,
    [],
  );
  const provider = crypto.randomUUID();
  await world.query(
    `insert into providers (id, tenant, issuer, client_id, name, scopes, created_at, updated_at, sealed_secret)
     values ($1, 'acme', 'https://idp.other.example', 'us', 'Other', '{}', now(), now(), $2)`,
    [provider, await sealText(side.vault, { ...at, what: 'client-secret', id: provider }, new Secret('a secret'))],
  );
  const before = await namedVersions();
  expect(Object.entries(before).filter(([, versions]) => versions.length === 0)).toEqual([]);

  await side.rotateKey('acme');
  await side.rotateServiceKey();
  expect(await progressOfSlowRewrap()).toEqual({ begun: true, total: await messages() });
  const started = await ask('/v1/admin/rewrap', {});
  expect(started.status).toBe(202);
  const end = await endOfJob(portal, replica, started.body['job']);
  expect(end).toMatchObject({ state: 'done', result: { unreadable: 0 } });
  expect((end['result'] as { rewrapped: number }).rewrapped).toBeGreaterThanOrEqual(5);
  await rewrapServiceKeys({ db: world.db, vault: side.vault });
  expect(await store()).toBe(201);

  const [after, active] = [await namedVersions(), await activeVersions()];
  expect(Object.keys(after)).toEqual(Object.keys(before));
  for (const [place, versions] of Object.entries(after)) {
    expect({ place, old: versions.filter((version) => !active.includes(version)) }).toEqual({ place, old: [] });
    expect(versions.filter((version) => before[place]?.includes(version))).toEqual([]);
  }
  // What was rewrapped opens: the reply is applied by the next use, and the grant refreshes.
  await world.query("update grants set confirmed_at = now() - interval '1 hour' where id = $1", [grant]);
  const token = await job.ownToken(['grants:use']);
  const use = { method: 'POST', token, body: { audience: 'token-exchange' } };
  expect((await job.send(`${replica.api}/v1/grants/${grant}/access-token`, use)).status).toBe(200);
  const [applied] = await world.query<{ state: string }>('select state from refresh_attempts where id = $1', [attempt]);
  expect(applied?.state).toBe('applied');
  await browser.close();
});
