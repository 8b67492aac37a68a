import { createRegistry, silentLogger } from '@postern/runtime';
import { postgresForTests, type TestPostgres } from '@postern/testing';
import { openAudit, type Audit } from '../../src/index.ts';
import { guards, outboxDatabase } from '../fixture.ts';

// A service that records events, alone in its database.

export let server: TestPostgres;
export let at: Awaited<ReturnType<typeof outboxDatabase>>;
export let audit: Audit;

export const logger = silentLogger();
export const metrics = createRegistry('crypto-store', { processMetrics: false });

export async function open(): Promise<void> {
  server = await postgresForTests();
  at = await outboxDatabase(server);
  audit = await openAudit({ postgres: at.postgres, producer: 'crypto-store', guards, logger, metrics });
}
export async function close(): Promise<void> {
  await audit?.close();
  await at?.close();
  await server?.close();
}
export async function renew() {
  await at.postgres.query('delete from audit_groups');
  await at.postgres.query('delete from audit_intents');
}

export const stored = async () =>
  (await at.postgres.query<{ id: string }>('select id from audit_outbox order by id')).map(({ id }) => id);
