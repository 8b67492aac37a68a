import {
  ensureDatabase,
  startPostgres,
  type Authority,
  type PostgresServer,
  type ServiceDatabase,
} from '@postern/testing';
import { join } from 'node:path';

import { services, type Service } from './services.ts';
import { type Home } from './state.ts';

/** Embedded PostgreSQL with one database and two roles a service (rows; schema). Its data are found again at the next start. */
export async function openDatabases(
  home: Home,
  authority: Authority,
  preferredPort: number,
): Promise<{ server: PostgresServer; of: Record<Service, ServiceDatabase> }> {
  const server = await startPostgres({ folder: join(home.dir, 'postgres'), authority, preferredPort });
  const of = {} as Record<Service, ServiceDatabase>;
  for (const service of services) of[service] = await ensureDatabase(server, { service });
  return { server, of };
}
