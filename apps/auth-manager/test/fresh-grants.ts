import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalRootKeyFile, openBranchKeys, openLocalRootKey } from '@postern/branch-keys';
import { openRevocations } from '@postern/issuer';
import { migrate, openPostgres } from '@postern/postgres';
import { profileNamed } from '@postern/profile';
import { closeInReverse, Secret, uuidv7 } from '@postern/runtime';
import { postgresForTests } from '@postern/testing';
import { migrationSets } from '../src/db/migration-sets.ts';
import type { Schema } from '../src/db/schema.ts';
import { storeGrant } from '../src/grants/store-grant.ts';
import { openVault, sealText } from '../src/grants/vault.ts';
import type { ProviderCalls, RefreshOutcome } from '../src/provider/provider-calls.ts';
import { openRefreshing } from '../src/refresh/confirm-grant.ts';
import { openGrantLocks } from '../src/refresh/grant-lock.ts';
import type { TurnLimits } from '../src/refresh/provider-turns.ts';
import { noteRestore, restoredAt } from '../src/refresh/restores.ts';

export type FreshGrants = Awaited<ReturnType<typeof freshGrants>>;
type Behaviour = 'rotates' | 'keeps' | 'hangs' | 'down' | 'busy' | 'refuses';

/** Another provider than the one whose grants are made unless something else is said. */
export const OTHER = 'https://other.example';

/** Grants on a database of their own with a clock that is set by hand; what the provider does is scripted. */
export async function freshGrants() {
  const closing = closeInReverse();
  const server = await postgresForTests();
  closing.add(() => server.close());
  const database = await server.createDatabase({ service: 'auth-manager' });
  closing.add(() => database.drop());
  const { url, ownerUrl, tls, serviceRole } = database;
  await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole });
  const { db, query } = closing.after(await openPostgres<Schema>({ url, tls, applicationName: 'spec' }));
  const folder = await mkdtemp(join(tmpdir(), 'root-key-'));
  closing.add(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'root.key');
  await createLocalRootKeyFile(path);
  const rootKey = closing.after(await openLocalRootKey({ path }));
  const environment = 'development' as const;
  const keys = closing.after(await openBranchKeys({ query, rootKey, environment, service: 'auth-manager' }));
  const vault = openVault(keys);
  const issuer = 'https://idp.example';
  let clock = new Date();
  const now = () => clock;
  // The head is for those who follow; nobody does here.
  const signHead = () => Promise.reject(new Error('nobody follows'));
  const sequence = openRevocations({ query, issuer: { signHead }, profile: profileNamed('fedramp-moderate'), now });
  await noteRestore(db, now);
  const tokenOf = (id: string) => `token of ${id}`;

  /** A provider of one behaviour, which notes what it was sent and asked. */
  function scripted(behaviour: Behaviour, { retryAfterSeconds = 0, inactive = [] as string[] } = {}) {
    const sent: string[] = [];
    const asked: string[] = [];
    let calls = 0;
    const answer = Promise.withResolvers<RefreshOutcome>();
    const outcomes: Record<Behaviour, () => RefreshOutcome | Promise<RefreshOutcome>> = {
      rotates: () => ({ kind: 'tokens', rotated: new Secret(uuidv7()) }),
      keeps: () => ({ kind: 'tokens', rotated: undefined }),
      hangs: () => answer.promise,
      down: () => ({ kind: 'not_sent' }),
      busy: () => ({ kind: 'rejected', retryAfterSeconds }),
      refuses: () => ({ kind: 'refused' }),
    };
    const provider: Pick<ProviderCalls, 'refresh' | 'isActive'> = {
      async refresh(token, beforeWriting) {
        beforeWriting();
        calls += 1;
        sent.push(token.reveal());
        return outcomes[behaviour]();
      },
      async isActive(token) {
        asked.push(token.reveal());
        return !inactive.includes(token.reveal());
      },
    };
    /** Of one that hangs: it answers all that wait, and those that come. */
    const letGo = () => answer.resolve({ kind: 'tokens', rotated: undefined });
    return { sent, asked, tried: () => calls, letGo, calls: provider as ProviderCalls };
  }

  return {
    db,
    query,
    now,
    issuer,
    vault,
    sequence,
    provider: scripted('keeps').calls,
    later(seconds: number) {
      clock = new Date(clock.getTime() + seconds * 1000);
    },
    scripted,
    /** Grants of as many sessions. Two hours of idle time are a period of one. */
    async grants(
      count: number,
      {
        idleSeconds,
        confirmedSecondsAgo = 0,
        provider = issuer,
        tenant = 'acme',
      }: { idleSeconds: number | null; confirmedSecondsAgo?: number; provider?: string; tenant?: string },
    ) {
      const ids: string[] = [];
      for (let made = 0; made < count; made++) {
        const confirmed = new Date(clock.getTime() - confirmedSecondsAgo * 1000);
        const stored = await db.transaction().execute((tx) =>
          storeGrant({ vault, keepRegistered: async () => {} }, tx, {
            owner: { tenant, issuer, sub: 'alice' },
            provider,
            client: 'auth-manager',
            session: uuidv7(),
            kind: 'offline',
            scopes: ['records:read'],
            acr: null,
            authTime: null,
            token: new Secret('to be named'),
            idleSeconds,
            now: confirmed,
          }),
        );
        // Named by the grant, so that a test sees whose token was sent.
        const place = { tenant, what: 'token' as const, id: stored.id };
        await db
          .updateTable('grants')
          .set({ sealed_token: await sealText(vault, place, new Secret(tokenOf(stored.id))) })
          .where('id', '=', stored.id)
          .execute();
        ids.push(stored.id);
      }
      return ids;
    },
    async clear() {
      await query('delete from grants', []);
    },
    /** A process of the service, as far as refreshing goes; `other` are the calls at {@link OTHER}. */
    replica(
      provider: ProviderCalls,
      { other = provider, limits }: { other?: ProviderCalls; limits?: TurnLimits } = {},
    ) {
      const refreshing = openRefreshing({
        db,
        sequence,
        audit: { within: async () => {} },
        lock: openGrantLocks(db, limits ?? { atOnce: 4, perProvider: 4 }),
        vault,
        providerOf: (grant) => (grant.provider === OTHER ? other : provider),
        now,
        recordRefresh: (_grant, act) => act(),
        recordLoss: async () => {},
        confirmedWithinSeconds: 600,
      });
      const confirm = async (id: string) => {
        const grant = await db.selectFrom('grants').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
        await noteRestore(db, now);
        const at = await restoredAt(db);
        return refreshing.confirm({ ...grant, unasked: at !== null && grant.confirmed_at < at });
      };
      return { refreshing, confirm };
    },
    close: closing.close,
  };
}
