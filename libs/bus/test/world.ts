import { migrate, openPostgres, type MigrationSet } from '@postern/postgres';
import { DEVELOPMENT_TRUST_DOMAIN, spiffeIdOf, WORKLOADS, type TestPostgres } from '@postern/testing';
import { jobMigrations, signalMigrations } from '../src/index.ts';

const things: MigrationSet = {
  set: 'things',
  steps: { '0001-things': 'create table things (n bigserial primary key, what text not null)' },
};

/** A service's own database with its signals, its background jobs and a table for their effects. */
export async function busDatabase(server: TestPostgres, service: string) {
  const database = await server.createDatabase({ service });
  const { tls, serviceRole } = database;
  await migrate({ url: database.ownerUrl, tls, sets: [jobMigrations, signalMigrations, things], serviceRole });
  const postgres = await openPostgres({ url: database.url, tls, poolSize: 6, applicationName: `bus ${service}` });
  return {
    ...postgres,
    things: async () =>
      (await postgres.query<{ what: string }>('select what from things order by n')).map((r) => r.what),
    async close() {
      await postgres.close();
      await database.drop();
    },
  };
}
export type BusDatabase = Awaited<ReturnType<typeof busDatabase>>;

export const workloads = {
  trustDomain: DEVELOPMENT_TRUST_DOMAIN,
  workloads: WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) })),
};

/** Waits until `condition` holds. */
export async function until(condition: () => Promise<boolean> | boolean, what: string, ms = 120_000): Promise<void> {
  for (const end = Date.now() + ms; !(await condition()); await new Promise((done) => setTimeout(done, 20)))
    if (Date.now() > end) throw new Error(`this did not come about: ${what}`);
}
