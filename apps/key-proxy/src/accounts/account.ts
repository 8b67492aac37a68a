import { randomUUID } from 'node:crypto';
import { type Transaction } from 'kysely';
import { type Principal } from '@postern/oidc';
import { problem } from '@postern/runtime';
import { type Role, type Schema } from '../db/schema.ts';
import { bcryptCostOf } from './password.ts';

export type Account = { id: string; tenant: string; email: string; role: Role };

export type NewAccount = {
  tenant: string;
  email: string;
  role: Role;
  contactName: string | null;
  phoneNumber: string | null;
  passwordHash: string;
};

/** @throws Problem `account_exists` when the address has an account already, in whatever company */
export async function createAccount(tx: Transaction<Schema>, asked: NewAccount, now: Date): Promise<Account> {
  const account: Account = { id: randomUUID(), tenant: asked.tenant, email: asked.email, role: asked.role };
  const created = await tx
    .insertInto('accounts')
    .values({
      ...account,
      contact_name: asked.contactName,
      phone_number: asked.phoneNumber,
      password_hash: asked.passwordHash,
      bcrypt_cost: bcryptCostOf(asked.passwordHash),
      created_at: now,
    })
    .onConflict((conflict) => conflict.column('email').doNothing())
    .returning('id')
    .executeTakeFirst();
  if (!created) throw problem('account_exists');
  return account;
}

/**
 * The account that a token speaks for, by its id.
 * @throws Problem `account_required` for people of an identity provider: they have none here
 */
export function accountIdOf({ person }: Pick<Principal, 'person'>, issuerUrl: string): string {
  if (person?.issuer !== issuerUrl) throw problem('account_required');
  return person.sub;
}

/**
 * The living account of a token, its row held until the transaction ends.
 * @throws Problem `account_required` also for one that was disabled or deleted since
 */
export async function lockedAccount(
  tx: Transaction<Schema>,
  principal: Pick<Principal, 'person'>,
  issuerUrl: string,
): Promise<Account & { password_hash: string }> {
  const account = await tx
    .selectFrom('accounts')
    .select(['id', 'tenant', 'email', 'role', 'password_hash'])
    .where('id', '=', accountIdOf(principal, issuerUrl))
    .where('state', '=', 'active')
    .forUpdate()
    .executeTakeFirst();
  if (!account) throw problem('account_required');
  return account;
}
