import { expect, test } from '@jest/globals';
import { migrate, openPostgres } from '@postern/postgres';
import { closeInReverse } from '@postern/runtime';
import { postgresForTests } from '@postern/testing';
import { migrationSets } from '../src/db/migration-sets.ts';
import type { Schema } from '../src/db/schema.ts';

/** The steps of before a pause was a tenant's own. */
const before = migrationSets.map(({ set, steps, ...rest }) => ({
  ...rest,
  set,
  steps: Object.fromEntries(
    Object.entries(steps).filter(([step]) => `${set}/${step}` !== 'grants/0004-tenants-pauses'),
  ),
}));

test('a pause from before it was a tenant’s own holds for each tenant that has grants at that provider, and for no other', async () => {
  const closing = closeInReverse();
  const server = await postgresForTests();
  closing.add(() => server.close());
  const database = await server.createDatabase({ service: 'auth-manager' });
  closing.add(() => database.drop());
  const { url, ownerUrl, tls, serviceRole } = database;
  await migrate({ url: ownerUrl, tls, sets: before, serviceRole });
  const { query } = closing.after(await openPostgres<Schema>({ url, tls, applicationName: 'spec' }));
  const grants = [
    ['acme', 'https://one.example'],
    ['acme', 'https://two.example'],
    ['globex', 'https://one.example'],
    ['initech', 'https://two.example'],
  ];
  for (const [tenant, provider] of grants)
    await query(
      `insert into grants (id, tenant, person_issuer, person_sub, provider, client, session, kind, scopes, state, confirmed_at, created_at, updated_at)
        values (gen_random_uuid(), $1, 'i', 's', $2, 'c', '', 'offline', '{}', 'ended', now(), now(), now())`,
      [tenant, provider],
    );
  // As the version before pauses.
  const pause = (provider: string) =>
    query(
      `insert into keeping_pauses (provider, paused_at, paused_by) values ($1, now(), 'ada') on conflict (provider) do nothing`,
      [provider],
    );
  await pause('https://one.example');
  await pause('https://three.example');
  await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole });
  expect(await query('select tenant, provider, paused_by from tenant_pauses order by 1', [])).toEqual([
    { tenant: 'acme', provider: 'https://one.example', paused_by: 'ada' },
    { tenant: 'globex', provider: 'https://one.example', paused_by: 'ada' },
  ]);
  // Its replicas still run while those of this version begin: they can pause as before, and be asked twice.
  for (const _ of [1, 2]) await pause('https://two.example');
  await closing.close();
});
