import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { problem, Secret } from '@postern/runtime';
import { UnsecuredJWT } from 'jose';
import { sql } from 'kysely';
import { openProviderTokens } from '../src/grants/provider-token.ts';
import type { ProviderCalls } from '../src/provider/provider-calls.ts';
import { freshGrants, OTHER, type FreshGrants } from './fresh-grants.ts';
import {
  cuts,
  hangs,
  json,
  page,
  providersAt,
  startMisbehavingProvider,
  type MisbehavingProvider,
} from './misbehaving-provider.ts';

// A provider over real TLS that misbehaves at its token endpoint; the client, the journal and the database are real.

let at: FreshGrants;
let provider: MisbehavingProvider;

beforeAll(async () => {
  [at, provider] = await Promise.all([freshGrants(), startMisbehavingProvider()]);
});
afterAll(async () => {
  await provider.close();
  await at.close();
});
beforeEach(async () => {
  provider.well();
  await at.clear();
});

/** A replica that has not spoken with it yet. */
const replica = () => at.replica(providersAt(provider, at).operator);
const sent = () => ({ refreshes: provider.calls().token, looks: provider.calls().introspect });
const heals = () => provider.meets('token', undefined);
const stale = async () => (await at.grants(1, { idleSeconds: null, confirmedSecondsAgo: 3_600 }))[0]!;
const attempts = async () =>
  (await at.query<{ state: string }>('select state from refresh_attempts order by created_at', [])).map(
    ({ state }) => state,
  );

test.each([
  ['it hangs', hangs],
  ['it cuts the connection', cuts],
  ['500 with a page', page(500)],
  ['502 with an OAuth body', json(502, { error: 'server_error' })],
  ['200 with a page', page(200)],
])('R20: %s: nothing is sent again before the provider was asked, and the grant lives', async (_name, fault) => {
  const grant = await stale();
  const { confirm } = replica();
  provider.meets('token', fault);
  await expect(confirm(grant)).rejects.toMatchObject({ code: 'provider_unavailable' });
  heals();
  at.later(3);
  await expect(confirm(grant)).rejects.toMatchObject({ code: 'provider_unavailable' });
  expect(sent()).toEqual({ refreshes: 1, looks: 0 });
  at.later(20);
  expect(await confirm(grant)).toEqual({ refreshed: true });
  expect([sent(), await attempts()]).toEqual([{ refreshes: 2, looks: 1 }, ['abandoned', 'applied']]);
});

test.each([
  ['JSON', json(429, { error: 'slow_down' }, { 'retry-after': '7' })],
  ['a page', page(429, { 'retry-after': '7' })],
])('429 with %s: nothing was consumed, and the caller is told when to come again', async (_name, fault) => {
  const grant = await stale();
  const { confirm } = replica();
  provider.meets('token', fault);
  await expect(confirm(grant)).rejects.toMatchObject({ code: 'provider_unavailable', retryAfterSeconds: 7 });
  heals();
  expect(await confirm(grant)).toEqual({ refreshed: true });
  expect([sent().looks, await attempts()]).toEqual([0, ['abandoned', 'applied']]);
});

test('a provider that calls itself by another name is sent no token', async () => {
  const grant = await stale();
  provider.callsItself('https://other.example');
  const { confirm } = replica();
  await expect(confirm(grant)).rejects.toMatchObject({ code: 'provider_unavailable' });
  expect([sent().refreshes, await attempts()]).toEqual([0, ['abandoned']]);
  provider.callsItself(provider.issuer);
  expect(await confirm(grant)).toEqual({ refreshed: true });
});

test('R20: the connection to the database is lost between the reply and its commit: it is journalled over another', async () => {
  const grant = await stale();
  const { confirm } = replica();
  provider.meets('token', (response) => {
    const kill = `select pg_terminate_backend(l.pid) from pg_locks l join pg_database d on d.oid = l.database
      where l.locktype = 'advisory' and l.classid = 20 and l.granted and d.datname = current_database()`;
    void at
      .query(kill, [])
      .then(() =>
        json(200, { access_token: 'a', token_type: 'Bearer', expires_in: 60, refresh_token: 'the only living one' })(
          response,
        ),
      );
  });
  await confirm(grant).catch(() => undefined);
  heals();
  expect((await attempts()).length).toBe(1);
  await confirm(grant);
  // The answer that came is applied; nothing was sent again.
  expect([sent(), await attempts()]).toEqual([{ refreshes: 1, looks: 0 }, ['applied']]);
});

test('R20: a clock that is a minute off changes nothing of what is promised', async () => {
  for (const seconds of [60, -60]) {
    const grant = await stale();
    const { confirm } = replica();
    provider.meets('token', cuts);
    await expect(confirm(grant)).rejects.toMatchObject({ code: 'provider_unavailable' });
    heals();
    // Another replica whose clock is off: behind, it waits longer; ahead, it asks the provider first all the same.
    at.later(seconds);
    await confirm(grant).catch(() => undefined);
    at.later(-seconds + 20);
    await confirm(grant);
    const states = await attempts();
    expect([states.at(0), states.at(-1)]).toEqual(['abandoned', 'applied']);
    expect(sent().looks).toBeGreaterThan(0);
    await at.clear();
    provider.well();
  }
});

test('R20: a provider that hangs holds its part of the pool: others are refreshed beside it, its own further callers are told when to come again', async () => {
  const old = { idleSeconds: null, confirmedSecondsAgo: 3_600 };
  const [one, two, three] = await at.grants(3, old);
  const others = await at.grants(3, { ...old, provider: OTHER });
  const [hanging, good] = [at.scripted('hangs'), at.scripted('keeps')];
  const limits = { atOnce: 3, perProvider: 2, waiting: 0 };
  const { confirm } = at.replica(hanging.calls, { other: good.calls, limits });
  const held = [confirm(one!), confirm(two!)];
  while (hanging.tried() < 2) await sleep(10);
  await expect(confirm(three!)).rejects.toMatchObject({ code: 'grant_busy', retryAfterSeconds: 5 });
  for (const other of others) expect(await confirm(other)).toEqual({ refreshed: true });
  hanging.letGo();
  expect(await Promise.all(held)).toEqual([{ refreshed: true }, { refreshed: true }]);
  expect(await confirm(three!)).toEqual({ refreshed: true });
});

test('an answer that cannot become the grant’s token in time tells its caller to come again, and is the token once it can', async () => {
  const grant = await stale();
  const rotates = at.scripted('rotates');
  const { confirm } = at.replica(rotates.calls, { limits: { atOnce: 2, perProvider: 2, waitMs: 300 } });
  await at.db.transaction().execute(async (tx) => {
    await tx.selectFrom('grants').select('id').where('id', '=', grant).forNoKeyUpdate().execute();
    await expect(confirm(grant)).rejects.toMatchObject({ code: 'grant_busy', retryAfterSeconds: 5 });
  });
  expect(await attempts()).toEqual(['replied']);
  await confirm(grant);
  expect([rotates.tried(), await attempts()]).toEqual([1, ['applied']]);
});

test('R10: a grant token that ends while its exchange waits its turn buys nothing: nothing is sent', async () => {
  const [id = ''] = await at.grants(1, { idleSeconds: null });
  const idle = at.scripted('keeps');
  const { refreshing } = at.replica(idle.calls);
  const until = new Date(at.now().getTime() + 20_000);
  // Another replica has the grant, so that the exchange waits; the clock goes on meanwhile.
  const waited = at.db.connection().execute(async (other) => {
    await sql`select pg_advisory_lock(20, hashtext(${id}))`.execute(other);
    const exchange = refreshing.obtain({ id, provider: at.issuer }, { scopes: [], boundTo: 'nobody' }, until);
    at.later(20);
    await sql`select pg_advisory_unlock(20, hashtext(${id}))`.execute(other);
    return exchange;
  });
  await expect(waited).rejects.toMatchObject({ code: 'grant_token_refused' });
  expect([idle.tried(), await attempts()]).toEqual([0, []]);
});

test('a token of the provider that is kept serves while the pool is full, until it expires', async () => {
  const [id = ''] = await at.grants(1, { idleSeconds: null });
  const jwt = new UnsecuredJWT({ azp: 'auth-manager' }).setAudience('portal').encode();
  const access = { token: new Secret(jwt), type: 'Bearer', expiresIn: 100, scopes: undefined };
  const full = () => Promise.reject(problem('grant_busy', { retryAfterSeconds: 5 }));
  let obtain: () => Promise<typeof access> = async () => access;
  const calls = { exchange: async () => access, clientId: async () => 'auth-manager' } as unknown as ProviderCalls;
  const { db, vault, now } = at;
  const kept = openProviderTokens({
    db,
    vault,
    now,
    unboundAllowed: true,
    obtain: () => obtain(),
    providerOf: () => calls,
  });
  const grant = await at.db.selectFrom('grants').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  const handle = { id, workload: 'job', audiences: ['portal'], scopes: [], expires_at: null, limited: false };
  const ask = () => kept.of({ grant, handle, unasked: false }, ['files:read'], 'portal');
  expect(await ask()).toMatchObject({ refreshed: true });
  obtain = full;
  at.later(90);
  expect((await ask()).token.reveal()).toBe(jwt);
  at.later(6);
  await expect(ask()).rejects.toMatchObject({ code: 'grant_busy', retryAfterSeconds: 5 });
});
