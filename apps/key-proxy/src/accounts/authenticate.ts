import { type Kysely, sql } from 'kysely';
import { type Secret } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { type Account } from './account.ts';
import { type Passwords } from './password.ts';

export type Known = { account: Account; passwordHash: string };

/**
 * The account of that address and password, or null; also where it is disabled. An unknown address costs the same
 * statement and the same work as a wrong password.
 */
export async function authenticate(
  { db, passwords }: { db: Kysely<Schema>; passwords: Passwords },
  { email, password }: { email: string; password: Secret },
): Promise<Known | null> {
  const { rows } = await sql<{ cost: number | null; account: (Account & { state: string; hash: string }) | null }>`
    select (select max(bcrypt_cost) from accounts where bcrypt_cost is not null) as cost,
      (select json_build_object('id', id, 'tenant', tenant, 'email', email, 'role', role, 'state', state, 'hash', password_hash)
       from accounts where email = ${email}) as account`.execute(db);
  const { cost = null, account = null } = rows[0] ?? {};
  const right = await passwords.verify(password, account?.hash ?? null, cost);
  if (!account || !right || account.state !== 'active') return null;
  const { hash, state: _active, ...known } = account;
  return { account: known, passwordHash: hash };
}
