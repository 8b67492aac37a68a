import { openRevocations } from '@postern/issuer';
import { migrate, openPostgres, type Postgres } from '@postern/postgres';
import { closeInReverse, systemNow } from '@postern/runtime';
import { postgresForTests } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { sql, type Transaction } from 'kysely';
import { completeConsent } from '../src/consents/finish-consent.ts';
import { migrationSets } from '../src/db/migration-sets.ts';
import type { Schema } from '../src/db/schema.ts';
import { endSessions } from '../src/sessions/end-sessions.ts';
import { denyGrants, removeGrants } from '../src/tenants/end-tenant.ts';

const closing = closeInReverse();
let postgres: Postgres<Schema>;
beforeAll(async () => {
  const server = await postgresForTests();
  closing.add(() => server.close());
  const { url, ownerUrl, tls, serviceRole, drop } = await server.createDatabase({ service: 'auth-manager' });
  closing.add(drop);
  await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole });
  postgres = closing.after(await openPostgres<Schema>({ url, tls, applicationName: 'end-tenant-locks' }));
}, 60_000);
afterAll(closing.close);

const PROVIDER = 'https://realm.example';
const grantId = (n: number) => `00000000-0000-4000-8000-00000000000${n}`;
const consentId = '00000000-0000-4000-9000-000000000001';

/** Grants of a tenant, the one with the highest id written first: a table without an order gives them so. */
async function grantsOf(tenant: string, ids: readonly number[]): Promise<void> {
  for (const [at, n] of ids.entries())
    await postgres.query(
      `insert into grants (id, tenant, person_issuer, person_sub, provider, client, session, kind, scopes, sealed_token,
                           token_fingerprint, confirmed_at, created_at, updated_at)
       values ($1, $2, $3, 'alice', $3, 'c', $4, 'refresh', '{}', '\\x00', '\\x00', now(), now(), now())`,
      [grantId(n), tenant, PROVIDER, `s${at}`],
    );
}

/** Until as many statements of this spec wait for a lock. */
async function wait(many: number): Promise<void> {
  for (let n = 0; n < 1_200; n += 1) {
    const waiting = await postgres.query(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      [],
    );
    if (waiting.length >= many) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('nobody waits for a lock');
}

test('the end of a tenant and the logout of the same grants wait for each other, and never both', async () => {
  await grantsOf('logged-out', [3, 2, 1]);
  const sequence = openRevocations({
    query: postgres.query,
    issuer: { signHead: () => Promise.reject(new Error('no head is asked for')) },
    profile: { accessTokenMinutes: 10, sessionIdleMinutes: 15 },
    now: systemNow,
  });
  let work: Promise<unknown>[] = [];
  // A third one holds the grant in the middle until both have taken what they take before it.
  await postgres.db.transaction().execute(async (tx) => {
    await tx.selectFrom('grants').select('id').where('id', '=', grantId(2)).forUpdate().execute();
    const all = { issuer: PROVIDER, sub: 'alice', sessionIds: undefined, tenants: null };
    const kinds = ['refresh'] as const;
    const begin = <T>(run: (own: Transaction<Schema>) => Promise<T>) =>
      postgres.db.transaction().execute(async (own) => {
        // Whichever plan finds them: without this one they come by an index, in an order that nobody has asked for.
        await sql`set local enable_indexscan = off`.execute(own);
        return run(own);
      });
    work = [
      begin((own) => endSessions(own, { sequence, now: systemNow }, all, { kinds, living: [] })),
      begin((own) => denyGrants(own, { now: systemNow }, 'logged-out')),
    ];
    work.forEach((one) => one.catch(() => {}));
    await wait(2);
  });
  expect((await Promise.allSettled(work)).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
}, 120_000);

test('the end of a tenant waits for a consent that is being completed, and takes nothing before that', async () => {
  await grantsOf('consenting', [5, 4]);
  await postgres.query(
    `insert into consents (id, tenant, person_issuer, person_sub, started_by, provider, scopes, handle_workload, handle_audiences,
                           handle_scopes, state, created_at, expires_at)
     values ($1, 'consenting', $2, 'alice', 'portal', $2, '{}', 'job', '{}', '{}', 'redeeming', now(), now())`,
    [consentId, PROVIDER],
  );
  let ending: Promise<unknown> = Promise.resolve();
  const completed = postgres.db.transaction().execute(async (tx) => {
    // As a consent that renews a grant: the grant first, the consent at the end.
    await tx.updateTable('grants').set({ updated_at: new Date() }).where('id', '=', grantId(4)).execute();
    ending = postgres.db.transaction().execute((other) => removeGrants(other, 'consenting'));
    ending.catch(() => {});
    await wait(1);
    return completeConsent(tx, consentId, grantId(4), new Date());
  });
  const [consent] = await Promise.allSettled([completed]);
  expect([consent, ...(await Promise.allSettled([ending]))]).toMatchObject([
    { status: 'fulfilled', value: true },
    { status: 'fulfilled', value: { grants: 2, consents: 1 } },
  ]);
  expect(await postgres.query(`select 1 from grants where tenant = 'consenting'`, [])).toEqual([]);
  expect(await postgres.query(`select 1 from consents where tenant = 'consenting'`, [])).toEqual([]);
}, 120_000);
