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
  await query(
    "insert into keeping_pauses (provider, paused_at, paused_by) values ('https://one.example', now(), 'ada'), ('https://three.example', now(), 'ada')",
    [],
  );
  await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole });
  expect(await query('select tenant, provider, paused_by from keeping_pauses order by 1', [])).toEqual([
    { tenant: 'acme', provider: 'https://one.example', paused_by: 'ada' },
    { tenant: 'globex', provider: 'https://one.example', paused_by: 'ada' },
  ]);
  await closing.close();
});
