import pg from 'pg';
import { asAdmin, type PostgresAdmin } from './admin.ts';
import { ownerRoleOf, roleOf } from './logins.ts';

/** A database of one service: connect with that workload's certificate. */
export type ServiceDatabase = {
  name: string;
  /** As the service's role: rows, no schema. */
  url: string;
  /** As the owner role: for migrations. */
  ownerUrl: string;
  serviceRole: string;
  ownerRole: string;
};

/**
 * Makes the roles and the database of a service unless they are there. Nobody but the two roles can connect to it, and
 * only the owner can change its schema.
 *
 * @param name default: the service's role name.
 */
export async function ensureDatabase(
  server: PostgresAdmin,
  { service, name = roleOf(service) }: { service: string; name?: string },
): Promise<ServiceDatabase> {
  const serviceRole = roleOf(service);
  const ownerRole = ownerRoleOf(service);
  const id = pg.escapeIdentifier;
  await asAdmin(server, async (client) => {
    // Roles belong to the whole server; several specs may be at it.
    await client.query('select pg_advisory_lock(1)');
    for (const role of [serviceRole, ownerRole]) {
      const { rowCount } = await client.query('select 1 from pg_roles where rolname = $1', [role]);
      if (rowCount === 0) await client.query(`create role ${id(role)} login nosuperuser nocreatedb nocreaterole`);
    }
    await client.query('select pg_advisory_unlock(1)');
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (rowCount === 0) await client.query(`create database ${id(name)} owner ${id(ownerRole)}`);
    await client.query(`revoke all on database ${id(name)} from public`);
    await client.query(`grant connect on database ${id(name)} to ${id(serviceRole)}`);
  });
  await asAdmin(server, (client) => client.query(`alter schema public owner to ${id(ownerRole)}`), name);
  const url = (role: string) => `postgresql://${role}@127.0.0.1:${server.port}/${name}`;
  return { name, url: url(serviceRole), ownerUrl: url(ownerRole), serviceRole, ownerRole };
}

/** Drops a database, and the connections to it. */
export async function dropDatabase(server: PostgresAdmin, name: string): Promise<void> {
  await asAdmin(server, (client) => client.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`));
}
