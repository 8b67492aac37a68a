import { newEvent, type AuditEvent, type EventDraft } from '@postern/audit';
import { migrate, openPostgres, type MigrationSet } from '@postern/postgres';
import { type TestPostgres } from '@postern/testing';
import { outboxMigrations } from '../src/index.ts';

/** A table that guards can speak about. */
export const recordsMigrations: MigrationSet = {
  set: 'records',
  steps: {
    '0001-records': `
      create table records (id uuid primary key, version bigint not null);
      create table uses (record uuid not null, n bigint not null);
    `,
  },
};

export const guards = {
  'record-live': 'exists (select 1 from records r where r.id = e.k1::uuid and r.version = e.n)',
};

/** A fresh database of crypto-store with the outbox in it. */
export async function outboxDatabase(server: TestPostgres) {
  const database = await server.createDatabase({ service: 'crypto-store' });
  const { tls, serviceRole } = database;
  await migrate({ url: database.ownerUrl, tls, sets: [outboxMigrations, recordsMigrations], serviceRole });
  const postgres = await openPostgres({ url: database.url, tls, poolSize: 12, applicationName: 'outbox test' });
  return {
    postgres,
    database,
    async close() {
      await postgres.close();
      await database.drop();
    },
  };
}

export const event = (over: Partial<EventDraft> = {}): AuditEvent =>
  newEvent(
    {
      action: 'record.read',
      outcome: 'success',
      tenant: 'acme',
      actor: { person: { issuer: 'https://idp.example/realms/postern', sub: 'alice' }, workload: 'portal' },
      details: {},
      ...over,
    },
    new Date(),
  );
