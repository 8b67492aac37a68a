import { randomBytes } from 'node:crypto';
import { type Transaction } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { setTenantDefault } from '../providers/choose-place.ts';
import { type ProviderKind } from '../providers/provider-kind.ts';
import { type Account, createAccount } from './account.ts';

export type SignUp = {
  company: string;
  contactName: string;
  phoneNumber: string;
  email: string;
  passwordHash: string;
  provider: ProviderKind;
};

/** R2: a random tenant id in the reserved namespace, never derived from a company's name. */
const newTenantId = (): string => `kp_${randomBytes(16).toString('hex')}`;

/**
 * Creates a company with its first account, who is its administrator. Two companies of one name are two tenants.
 * @throws Problem `account_exists` when the address has an account already
 */
export async function signUp(
  tx: Transaction<Schema>,
  { company, provider, ...first }: SignUp,
  now: Date,
): Promise<Account> {
  const tenant = newTenantId();
  await tx.insertInto('companies').values({ tenant, name: company, created_at: now }).execute();
  const account = await createAccount(tx, { ...first, tenant, role: 'admin' }, now);
  await setTenantDefault(tx, { tenant, kind: provider, configuration: null }, now);
  return account;
}
