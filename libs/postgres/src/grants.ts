import { sql, type Transaction } from 'kysely';
import type { MigrationSet } from './migration-set.ts';

/** Gives `role` the rows of every table in `public`, less where a set says so, and no way to change the schema. */
export async function grantDml(tx: Transaction<unknown>, role: string, sets: readonly MigrationSet[]): Promise<void> {
  const to = sql.id(role);
  await sql`revoke create on schema public from public`.execute(tx);
  await sql`grant usage on schema public to ${to}`.execute(tx);
  await sql`grant select, insert, update, delete on all tables in schema public to ${to}`.execute(tx);
  await sql`grant usage, select on all sequences in schema public to ${to}`.execute(tx);
  await sql`grant execute on all functions in schema public to ${to}`.execute(tx);
  const narrowed = sets.flatMap(({ privileges = {} }) => Object.entries(privileges));
  for (const [table, privileges] of narrowed) {
    const name = sql.id('public', table);
    await sql`revoke all on table ${name} from ${to}`.execute(tx);
    if (privileges.length > 0) {
      await sql`grant ${sql.raw([...privileges].join(', '))} on table ${name} to ${to}`.execute(tx);
    }
  }
}
