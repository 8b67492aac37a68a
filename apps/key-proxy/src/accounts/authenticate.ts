import { type Kysely } from 'kysely';
import { type Secret } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { type Passwords } from './password.ts';
import { type Account } from './sign-up.ts';

/**
 * The account of that address and password, or null. An unknown address costs the same work as a wrong password.
 */
export async function authenticate(
  { db, passwords }: { db: Kysely<Schema>; passwords: Passwords },
  { email, password }: { email: string; password: Secret },
): Promise<Account | null> {
  const held = await db
    .selectFrom('accounts')
    .select(['id', 'tenant', 'email', 'role', 'password_hash'])
    .where('email', '=', email)
    .executeTakeFirst();
  const right = await passwords.verify(password, held?.password_hash ?? null);
  if (!held || !right) return null;
  const { password_hash: _hash, ...account } = held;
  return account;
}
