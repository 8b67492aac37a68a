import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { branchKeyMigrations, createLocalRootKeyFile, openBranchKeys, openLocalRootKey } from '@postern/branch-keys';
import { BY_TENANT, openEndedTenants, removeRows } from '@postern/branch-keys/destruction';
import { busAcl, openBus, signalMigrations } from '@postern/bus';
import { type World } from './crypto-store.ts';
import { openAudit, outboxMigrations } from '@postern/outbox';
import { migrate, openPostgres, queryIn, type MigrationSet } from '@postern/postgres';
import { createLogger } from '@postern/runtime';
import { DEVELOPMENT_TRUST_DOMAIN, fixedTls, spiffeIdOf, WORKLOADS } from '@postern/testing';

const things: MigrationSet = { set: 'things', steps: { '0001-things': 'create table things (tenant text not null)' } };

/**
 * Another service, as far as a destruction reaches it: a database, bus user and certificate of its own, and the library that
 * every service follows destructions with. Its rows and one branch key of the tenant are there from the start.
 */
export async function openParticipant(world: World, service: string, tenant: string, now: () => Date) {
  const database = await world.postgres.createDatabase({ service });
  const { url, ownerUrl, tls, serviceRole } = database;
  const sets = [outboxMigrations, branchKeyMigrations, signalMigrations, things];
  await migrate({ url: ownerUrl, tls, sets, serviceRole });
  const postgres = await openPostgres({ url, tls, applicationName: service });
  const { db, query } = postgres;
  const logger = createLogger({ service, level: 'error' });
  const audit = await openAudit({ postgres, producer: service, logger });
  const folder = await mkdtemp(join(tmpdir(), `${service}-`));
  await createLocalRootKeyFile(join(folder, 'root.key'));
  const rootKey = await openLocalRootKey({ path: join(folder, 'root.key') });
  const keys = await openBranchKeys({ query, rootKey, environment: 'development', service });
  await keys.idFor(tenant, 'service-secrets');
  keys.close();
  await query('insert into things select $1 from generate_series(1, 7)', [tenant]);
  const ended = await openEndedTenants({ query, path: join(folder, 'destroyed.jsonl'), logger, now });
  const closes: (() => Promise<void>)[] = [];

  return {
    ended,
    query,
    /** Its worker; it was down before. */
    async start() {
      const bus = await openBus({ ...(await world.redis.bus.user(service, busAcl(service))), service, logger });
      const following = ended.follow({
        db,
        audit,
        bus,
        tls: fixedTls(await world.postgres.authority.issue(service)),
        workloads: {
          trustDomain: DEVELOPMENT_TRUST_DOMAIN,
          workloads: WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) })),
        },
        service,
        waitMs: 1_000,
        remove: (tx, of) => removeRows(queryIn(tx), of, [['things', BY_TENANT]]),
        keys: 'destroyed',
      });
      closes.push(following.close, bus.close);
    },
    left: async () => {
      const [row] = await query<{ things: number; keys: number }>(
        `select (select count(*)::int from things) as things, (select count(*)::int from branch_keys) as keys`,
      );
      return row;
    },
    async close() {
      for (const close of closes) await close();
      await ended.close();
      await audit.close();
      await postgres.close();
      await database.drop();
    },
  };
}
