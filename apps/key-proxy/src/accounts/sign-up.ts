import { randomBytes, randomUUID } from 'node:crypto';
import { type Transaction } from 'kysely';
import { problem } from '@postern/runtime';
import { type Role, type Schema } from '../db/schema.ts';
import { setTenantDefault } from '../providers/choose-place.ts';
import { type ProviderKind } from '../providers/provider-kind.ts';

export type SignUp = {
  company: string;
  contactName: string;
  phoneNumber: string;
  email: string;
  passwordHash: string;
  provider: ProviderKind;
};

export type Account = { id: string; tenant: string; email: string; role: Role };

/** R2: a random tenant id in the reserved namespace, never derived from a company's name. */
const newTenantId = (): string => `kp_${randomBytes(16).toString('hex')}`;

/**
 * Creates a company with its first account, who is its administrator. Two companies of one name are two tenants.
 * @throws Problem `account_exists` when the address has an account already
 */
export async function signUp(tx: Transaction<Schema>, asked: SignUp, now: Date): Promise<Account> {
  const account: Account = { id: randomUUID(), tenant: newTenantId(), email: asked.email, role: 'admin' };
  await tx.insertInto('companies').values({ tenant: account.tenant, name: asked.company, created_at: now }).execute();
  const created = await tx
    .insertInto('accounts')
    .values({
      ...account,
      contact_name: asked.contactName,
      phone_number: asked.phoneNumber,
      password_hash: asked.passwordHash,
      created_at: now,
    })
    .onConflict((conflict) => conflict.column('email').doNothing())
    .returning('id')
    .executeTakeFirst();
  if (!created) throw problem('account_exists');
  await setTenantDefault(tx, { tenant: account.tenant, kind: asked.provider, configuration: null }, now);
  return account;
}
