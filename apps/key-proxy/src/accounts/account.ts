import { randomUUID } from 'node:crypto';
import { type Kysely, type RawBuilder, sql, type Transaction } from 'kysely';
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

/** What became of an account that was asked for. */
export type Asked = {
  account: Account;
  /** False where the address has an account already, in whatever company: then `account` is nobody's. */
  created: boolean;
  /** Whose account the address is where none was made, as far as the statement saw it. */
  takenBy: { tenant: string; id: string } | null;
};

/** Makes an account, or where the address has one already nothing, by the same statement (ADR 48). */
export async function createAccount(tx: Transaction<Schema>, asked: NewAccount, now: Date): Promise<Asked> {
  const { tenant, email, role, contactName, phoneNumber, passwordHash } = asked;
  const account: Account = { id: randomUUID(), tenant, email, role };
  const { rows } = await sql<Omit<Asked, 'account' | 'takenBy'> & { taken_by: Asked['takenBy'] }>`
    with account as (
      insert into accounts (id, tenant, email, role, contact_name, phone_number, password_hash, bcrypt_cost, created_at)
      values (${account.id}, ${tenant}, ${email}, ${role}, ${contactName}, ${phoneNumber}, ${passwordHash},
        ${bcryptCostOf(passwordHash)}, ${now})
      on conflict (email) do nothing returning id)
    select exists (select from account) as created, ${takenByOf(email)} as taken_by`.execute(tx);
  const { created = false, taken_by: takenBy = null } = rows[0] ?? {};
  return { account, created, takenBy };
}

/** Whose account an address was before the statement; null where nobody's. */
export const takenByOf = (email: string): RawBuilder<Asked['takenBy']> =>
  sql`(select json_build_object('tenant', tenant, 'id', id) from accounts where email = ${email})`;

const TAKEN = { outcome: 'refused', reason: 'account_exists' } as const;

/**
 * What the log says of an account that was asked for: that it was made, and by whom; or that it was not, in the log of whose
 * account it is, and of nobody else (ADR 48).
 */
export function creationOf({ account, created, takenBy }: Asked, by: { issuer: string } | null) {
  const { tenant, id } = created ? account : (takenBy ?? { tenant: null, id: null });
  return {
    tenant,
    ...(created ? by && { actor: { person: { issuer: by.issuer, sub: account.id } } } : TAKEN),
    ...(id === null ? {} : { resource: { type: 'account', id } }),
  };
}

/**
 * The account that a token speaks for, by its id.
 * @throws Problem `account_required` for people of an identity provider: they have none here
 */
export function accountIdOf({ person }: Pick<Principal, 'person'>, issuerUrl: string): string {
  if (person?.issuer !== issuerUrl) throw problem('account_required');
  return person.sub;
}

/** The living account of a token and its address. @throws Problem `account_required` */
export async function emailOf(
  db: Kysely<Schema>,
  principal: Pick<Principal, 'person'>,
  issuerUrl: string,
): Promise<Pick<Account, 'id' | 'email'>> {
  const account = await db
    .selectFrom('accounts')
    .select(['id', 'email'])
    .where((at) => at.and({ id: accountIdOf(principal, issuerUrl), state: 'active' }))
    .executeTakeFirst();
  if (!account) throw problem('account_required');
  return account;
}

/** The living account of a token as it is now. @throws Problem `account_required` also for one that was disabled or deleted since */
export async function livingAccount(
  db: Kysely<Schema>,
  principal: Pick<Principal, 'person'>,
  issuerUrl: string,
): Promise<Account & { password_hash: string }> {
  const account = await livingRow(db, principal, issuerUrl).executeTakeFirst();
  if (!account) throw problem('account_required');
  return account;
}

/** The same, its row held until the transaction ends. @throws Problem `account_required` */
export async function lockedAccount(
  tx: Transaction<Schema>,
  principal: Pick<Principal, 'person'>,
  issuerUrl: string,
): Promise<Account & { password_hash: string }> {
  const account = await livingRow(tx, principal, issuerUrl).forUpdate().executeTakeFirst();
  if (!account) throw problem('account_required');
  return account;
}

const livingRow = (db: Kysely<Schema>, principal: Pick<Principal, 'person'>, issuerUrl: string) =>
  db
    .selectFrom('accounts')
    .select(['id', 'tenant', 'email', 'role', 'password_hash'])
    .where('id', '=', accountIdOf(principal, issuerUrl))
    .where('state', '=', 'active');
