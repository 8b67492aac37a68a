import { ownerRoleOf, roleOf } from '@postern/testing';
import { copyFileSync, writeFileSync } from 'node:fs';

import { passwordFile } from '../files.ts';
import { services, type Service } from '../services.ts';
import { type Home } from '../state.ts';

/** What the Postgres container reads: a database and two roles a service, and logins by certificate only. */
export function writePostgresFiles(home: Home): void {
  const write = (name: string, text: string) => writeFileSync(home.place('postgres', name), text);
  write('pg_hba.conf', 'local all all peer\nhostssl all all all cert map=workloads\n');
  const logins = services.flatMap((service) =>
    [roleOf(service), ownerRoleOf(service)].map((role) => `workloads ${service} ${role}\n`),
  );
  write('pg_ident.conf', logins.join(''));
  copyFileSync(passwordFile(home, 'postgres-superuser').path, home.place('postgres', 'superuser-password'));
  write('init.sql', services.map(databaseSql).join('\n'));
}

function databaseSql(service: Service): string {
  const [role, owner] = [roleOf(service), ownerRoleOf(service)];
  return [
    `create role ${role} login nosuperuser nocreatedb nocreaterole;`,
    `create role ${owner} login nosuperuser nocreatedb nocreaterole;`,
    `create database ${role} owner ${owner};`,
    `revoke all on database ${role} from public;`,
    `grant connect on database ${role} to ${role};`,
    `\\connect ${role}`,
    `alter schema public owner to ${owner};`,
    '\\connect postgres',
    '',
  ].join('\n');
}
