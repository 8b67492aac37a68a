import { randomBytes, randomUUID } from 'node:crypto';
import { sql, type Transaction } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { type ProviderKind } from '../providers/provider-kind.ts';
import { type Account, type Asked, takenByOf } from './account.ts';

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
 * Where the address has an account already, nothing is made, by the same statement.
 */
export async function signUp(tx: Transaction<Schema>, asked: SignUp, now: Date): Promise<Asked> {
  const account: Account = { id: randomUUID(), tenant: newTenantId(), email: asked.email, role: 'admin' };
  const { rows } = await sql<{ created: boolean; taken_by: Asked['takenBy'] }>`
    with account as (
      insert into accounts (id, tenant, email, role, contact_name, phone_number, password_hash, created_at)
      values (${account.id}, ${account.tenant}, ${account.email}, ${account.role}, ${asked.contactName},
        ${asked.phoneNumber}, ${asked.passwordHash}, ${now})
      on conflict (email) do nothing returning tenant),
    company as (
      insert into companies (tenant, name, created_at) select tenant, ${asked.company}, ${now} from account),
    provider as (
      insert into providers (tenant, kind, configured_at) select tenant, ${asked.provider}, ${now} from account)
    select exists (select from account) as created, ${takenByOf(account.email)} as taken_by`.execute(tx);
  const { created = false, taken_by: takenBy = null } = rows[0] ?? {};
  return { account, created, takenBy };
}
