import { openRevocations, type RevocationSequence } from '@postern/issuer';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createLocalRootKeyFile, openBranchKeys, openLocalRootKey } from '@postern/branch-keys';
import { migrate, openPostgres, type Postgres } from '@postern/postgres';
import { Secret } from '@postern/runtime';
import { postgresForTests, type TestPostgres } from '@postern/testing';
import { migrationSets } from '../src/db/migration-sets.ts';
import type { Schema } from '../src/db/schema.ts';
import { storeGrant } from '../src/grants/store-grant.ts';
import { openText, openVault, type Vault } from '../src/grants/vault.ts';
import type { ProviderCalls, RefreshOutcome } from '../src/provider/provider-calls.ts';
import { commitIntent } from '../src/refresh/commit-intent.ts';
import { openRefreshing } from '../src/refresh/confirm-grant.ts';
import { openGrantLocks } from '../src/refresh/grant-lock.ts';
import { journalReply } from '../src/refresh/journal-reply.ts';

// The provider is scripted at its port, because no real one loses its answers on demand; everything else is real.

let server: TestPostgres;
let postgres: Postgres<Schema>;
let vault: Vault;
let now: Date;
const closes: (() => unknown)[] = [];

beforeAll(async () => {
  server = await postgresForTests();
  const database = await server.createDatabase({ service: 'auth-manager' });
  const { url, ownerUrl, tls, serviceRole } = database;
  await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole });
  postgres = await openPostgres<Schema>({ url, tls, applicationName: 'spec' });
  const folder = await mkdtemp(join(tmpdir(), 'root-key-'));
  const path = join(folder, 'root.key');
  await createLocalRootKeyFile(path);
  const rootKey = await openLocalRootKey({ path });
  const keys = await openBranchKeys({
    query: postgres.query,
    rootKey,
    environment: 'development',
    service: 'auth-manager',
  });
  vault = openVault(keys);
  closes.push(
    () => rm(folder, { recursive: true, force: true }),
    () => server.close(),
    () => database.drop(),
    () => postgres.close(),
    () => rootKey.close(),
    () => keys.close(),
  );
});
afterAll(async () => {
  for (const close of closes.toReversed()) await close();
});
beforeEach(() => {
  now = new Date();
});

const later = (seconds: number) => {
  now = new Date(now.getTime() + seconds * 1000);
};

/** A provider that answers in turn, and notes which tokens it was sent and asked about. */
function scripted(outcomes: RefreshOutcome[], active = true) {
  const sent: string[] = [];
  const asked: string[] = [];
  const calls: Pick<ProviderCalls, 'refresh' | 'isActive'> = {
    async refresh(token, beforeWriting) {
      try {
        beforeWriting();
      } catch {
        return { kind: 'not_sent' };
      }
      sent.push(token.reveal());
      return outcomes.shift() ?? { kind: 'unknown' };
    },
    async isActive(token) {
      asked.push(token.reveal());
      return active;
    },
  };
  return { sent, asked, calls: calls as ProviderCalls };
}

// The head is for those who follow; nobody does here.
const sequence = {
  revoke: (...written: Parameters<RevocationSequence['revoke']>) =>
    openRevocations({
      query: postgres.query,
      issuer: { signHead: () => Promise.reject(new Error('nobody follows')) },
      profile: { accessTokenMinutes: 10, sessionIdleMinutes: 15 },
      now: () => now,
    }).revoke(...written),
};

const replica = (provider: ProviderCalls) => {
  const { confirm } = openRefreshing({
    db: postgres.db,
    sequence,
    lock: openGrantLocks(postgres.db, { atOnce: 2, perProvider: 2 }),
    vault,
    providerOf: () => provider,
    now: () => now,
    recordRefresh: (_grant, act) => act(),
    recordLoss: async () => {},
    audit: { within: async () => {} },
    confirmedWithinSeconds: 600,
  });
  return async (id: string) => confirm(await grantRow(id));
};

async function staleGrant(): Promise<string> {
  const { id } = await postgres.db.transaction().execute((tx) =>
    storeGrant({ vault, keepRegistered: async () => {} }, tx, {
      owner: { tenant: 'acme', issuer: 'https://idp.example', sub: 'alice' },
      provider: 'https://idp.example',
      client: 'auth-manager',
      session: crypto.randomUUID(),
      kind: 'offline',
      scopes: ['records:read'],
      acr: null,
      authTime: null,
      token: new Secret('first'),
      handle: { workload: 'job', audiences: ['crypto-store'], scopes: ['records:read'] },
      now: new Date(now.getTime() - 3_600_000),
    }),
  );
  return id;
}

const grantRow = (id: string) =>
  postgres.db.selectFrom('grants').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
async function heldToken(id: string): Promise<string> {
  const { tenant, sealed_token: sealed } = await grantRow(id);
  return (await openText(vault, { tenant, what: 'token', id }, sealed ?? new Uint8Array())).reveal();
}

/** Another token of the same session, as a further consent brings it. */
async function consentAnew(id: string): Promise<void> {
  const grant = await grantRow(id);
  await postgres.db.transaction().execute((tx) =>
    storeGrant({ vault, keepRegistered: async () => {} }, tx, {
      owner: { tenant: 'acme', issuer: 'https://idp.example', sub: 'alice' },
      provider: grant.provider,
      client: grant.client,
      session: grant.session,
      kind: 'offline',
      scopes: ['records:read'],
      acr: null,
      authTime: null,
      token: new Secret('new family'),
      handle: { workload: 'job', audiences: ['crypto-store'], scopes: ['records:read'] },
      now: new Date(now.getTime() - 3_600_000),
    }),
  );
}

test('R20: an answer that never came is settled by introspection, and the token is sent again only where it lives', async () => {
  const id = await staleGrant();
  const lost = scripted([{ kind: 'unknown' }]);
  await expect(replica(lost.calls)(id)).rejects.toMatchObject({ code: 'provider_unavailable' });
  later(5);
  const early = scripted([]);
  await expect(replica(early.calls)(id)).rejects.toMatchObject({ code: 'provider_unavailable' });
  expect([early.sent, early.asked]).toEqual([[], []]);
  later(30);
  const recovering = scripted([{ kind: 'tokens', rotated: new Secret('second') }]);
  expect(await replica(recovering.calls)(id)).toEqual({ refreshed: true });
  expect([recovering.asked, recovering.sent]).toEqual([['first'], ['first']]);
  expect(await heldToken(id)).toBe('second');
});

test('R20: a lost answer whose old token is dead costs one re-authorisation, and nothing is sent again', async () => {
  const id = await staleGrant();
  await expect(replica(scripted([{ kind: 'unknown' }]).calls)(id)).rejects.toThrow();
  later(60);
  const dead = scripted([], false);
  await expect(replica(dead.calls)(id)).rejects.toMatchObject({ code: 'reauthorization_required' });
  expect(dead.sent).toEqual([]);
  expect((await grantRow(id)).state).toBe('reauthorization_required');
});

test('R20: of an answer that never came nothing is asked once the person has consented anew: the new token is used', async () => {
  const id = await staleGrant();
  await expect(replica(scripted([{ kind: 'unknown' }]).calls)(id)).rejects.toThrow();
  await consentAnew(id);
  later(60);
  const provider = scripted([{ kind: 'tokens', rotated: undefined }], false);
  expect(await replica(provider.calls)(id)).toEqual({ refreshed: true });
  expect([provider.asked, provider.sent]).toEqual([[], ['new family']]);
});

test('R20: a process that dies after journalling its answer loses nothing: the next one applies it without a call', async () => {
  const id = await staleGrant();
  const { attempt } = await commitIntent(postgres.db, await grantRow(id), now);
  const reply = { rotated: new Secret('journalled'), repliedAt: now };
  await journalReply({ vault, db: postgres.db }, postgres.db, { attempt, tenant: 'acme' }, reply);
  const untouched = scripted([]);
  expect(await replica(untouched.calls)(id)).toEqual({ refreshed: false });
  expect([untouched.sent, untouched.asked]).toEqual([[], []]);
  expect(await heldToken(id)).toBe('journalled');
});

test('R20: the deadline is checked right before writing', async () => {
  const id = await staleGrant();
  const slow = scripted([{ kind: 'tokens', rotated: undefined }]);
  const { refresh } = slow.calls;
  slow.calls.refresh = (token, beforeWriting) => {
    later(11);
    return refresh(token, beforeWriting);
  };
  await expect(replica(slow.calls)(id)).rejects.toMatchObject({ code: 'provider_unavailable' });
  expect(slow.sent).toEqual([]);
});

test('R20: an answer is dropped when the person has consented anew since it was asked for', async () => {
  const id = await staleGrant();
  const grant = await grantRow(id);
  const { attempt } = await commitIntent(postgres.db, grant, now);
  await journalReply(
    { vault, db: postgres.db },
    postgres.db,
    { attempt, tenant: 'acme' },
    { rotated: new Secret('old family'), repliedAt: now },
  );
  await consentAnew(id);
  const provider = scripted([{ kind: 'tokens', rotated: undefined }]);
  await replica(provider.calls)(id);
  expect([provider.sent, await heldToken(id)]).toEqual([['new family'], 'new family']);
});

test('where rotation is off the same token is kept, and the confirmation is renewed', async () => {
  const id = await staleGrant();
  await replica(scripted([{ kind: 'tokens', rotated: undefined }]).calls)(id);
  expect(await heldToken(id)).toBe('first');
  expect((await grantRow(id)).confirmed_at.getTime()).toBe(now.getTime());
});

test('an error that consumed nothing leaves the grant usable', async () => {
  const id = await staleGrant();
  await expect(replica(scripted([{ kind: 'rejected' }]).calls)(id)).rejects.toMatchObject({
    code: 'provider_unavailable',
  });
  await replica(scripted([{ kind: 'tokens', rotated: undefined }]).calls)(id);
  expect((await grantRow(id)).state).toBe('active');
});
