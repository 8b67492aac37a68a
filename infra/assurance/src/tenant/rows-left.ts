import { type Service, type Stack } from '@postern/dev';
import { watchTlsMaterial } from '@postern/mtls';
import { openPostgres, type Query } from '@postern/postgres';

/** Tables that name tenants and are not a tenant's: the evidence of its end, and counts without persons in them. */
const EVIDENCE = new Set([
  'ended_tenants',
  'branch_key_owners',
  'key_certificates',
  'key_destructions',
  'tenants',
  'compromised_workloads',
  // The log stays whole (R28): what of it can be read is counted apart.
  'log_subjects',
  'log_events',
  'log_counts',
]);

/** The databases of the five services, each opened as its service. */
export async function openServiceDatabases(stack: Stack, services: readonly Service[]) {
  const opened = await Promise.all(
    services.map(async (service) => {
      const tls = await watchTlsMaterial(stack.certificates.of[service].paths);
      const url = stack.environmentOf(service)['POSTERN_POSTGRES_URL'] ?? '';
      const postgres = await openPostgres({ url, tls, applicationName: 'assurance', poolSize: 1 });
      return { service, query: postgres.query, close: () => postgres.close().then(() => tls.close()) };
    }),
  );
  return {
    of: (service: Service): Query => opened.find((one) => one.service === service)!.query,
    close: async () => void (await Promise.all(opened.map(({ close }) => close()))),
  };
}

/**
 * Every row of a tenant in a service's database, by table: all tables with a column `tenant` but the evidence, also those that
 * nobody thought of; and of the log what can still be read of the time before `before`.
 */
export async function rowsOf(query: Query, tenant: string, before: Date): Promise<Record<string, number>> {
  const tables = await query<{ table: string }>(
    `select c.table_name as table from information_schema.columns c
       join information_schema.tables t on t.table_schema = c.table_schema and t.table_name = c.table_name
      where c.table_schema = 'public' and c.column_name = 'tenant' and t.table_type = 'BASE TABLE' order by 1`,
  );
  const rows: Record<string, number> = {};
  const isLog = tables.some(({ table }) => table === 'log_events');
  const count = async (name: string, text: string, values: unknown[]) => {
    const [row] = await query<{ count: number }>(text, values);
    if (row && row.count > 0) rows[name] = row.count;
  };
  for (const { table } of tables)
    // The log's branch keys seal what the services record of the end; of what they sealed before, nothing is left.
    if (!EVIDENCE.has(table) && !(isLog && table === 'branch_keys'))
      await count(table, `select count(*)::int as count from ${table} where tenant = $1`, [tenant]);
  if (isLog) {
    await count(
      'readable events',
      `select count(*)::int as count from log_every_event
        where tenant = $1 and occurred_at < $2 and (subject is not null or sealed is not null or resource is not null)`,
      [tenant, before],
    );
  }
  return rows;
}
