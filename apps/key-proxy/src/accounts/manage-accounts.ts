import { type Kysely, sql, type Transaction } from 'kysely';
import { problem } from '@postern/runtime';
import { type Role, type Schema } from '../db/schema.ts';
import { endSessionsOf, type Revoking } from './sessions.ts';

export type AccountEntry = {
  id: string;
  email: string;
  contactName: string | null;
  role: Role;
  state: 'active' | 'disabled';
  factor: boolean;
  createdAt: Date;
};

/** A page of a company's accounts by address; `after` is the last address of the page before. */
export async function listAccounts(
  db: Kysely<Schema>,
  { tenant, after, limit }: { tenant: string; after?: string | undefined; limit: number },
): Promise<AccountEntry[]> {
  const rows = await db
    .selectFrom('accounts as a')
    .leftJoin('factors as f', 'f.account', 'a.id')
    .select(['a.id', 'a.email', 'a.contact_name', 'a.role', 'a.state', 'a.created_at', 'f.confirmed_at'])
    .where('a.tenant', '=', tenant)
    .$if(after !== undefined, (query) => query.where('a.email', '>', after ?? ''))
    .orderBy('a.email')
    .limit(limit)
    .execute();
  return rows.map(({ contact_name, created_at, confirmed_at, ...row }) => ({
    ...row,
    contactName: contact_name,
    factor: confirmed_at !== null,
    createdAt: created_at,
  }));
}

type Of = { tenant: string; id: string };

/**
 * Gives an account another role or state. What was given out under the old one ends at once: its sessions with
 * their tokens (R14).
 * @throws Problem `account_not_found`, `last_administrator`
 */
export async function changeAccount(
  tx: Transaction<Schema>,
  revoking: Revoking,
  { tenant, id }: Of,
  change: { role?: Role | undefined; state?: 'active' | 'disabled' | undefined },
): Promise<void> {
  await lockCompany(tx, tenant);
  const changed = await tx
    .updateTable('accounts')
    // The tenant stays what it is: of nothing to change there is no statement.
    .set({ tenant, ...(change.role && { role: change.role }), ...(change.state && { state: change.state }) })
    .where((at) => at.and({ tenant, id }))
    .returning('id')
    .execute();
  if (changed.length === 0) throw problem('account_not_found');
  await assertAdministered(tx, tenant);
  await endSessionsOf(tx, revoking, { account: id });
}

/**
 * Deletes an account with what is kept of the person. Its secrets are not lost silently: while it has some, it stays.
 * @throws Problem `account_not_found`, `account_has_secrets`, `last_administrator`
 */
export async function deleteAccount(tx: Transaction<Schema>, revoking: Revoking, { tenant, id }: Of): Promise<void> {
  await lockCompany(tx, tenant);
  const secret = await tx
    .selectFrom('secrets')
    .select('id')
    .where((at) => at.and({ tenant, owner_issuer: revoking.issuerUrl, owner_sub: id }))
    .limit(1)
    .executeTakeFirst();
  if (secret) throw problem('account_has_secrets');
  await endSessionsOf(tx, revoking, { account: id });
  const deleted = await tx
    .deleteFrom('accounts')
    .where((at) => at.and({ tenant, id }))
    .returning('id')
    .execute();
  if (deleted.length === 0) throw problem('account_not_found');
  await assertAdministered(tx, tenant);
}

/** Changes of a company's accounts come one after the other: two administrators cannot disable each other at once. */
const lockCompany = (tx: Transaction<Schema>, tenant: string) =>
  tx.selectFrom('companies').select('tenant').where('tenant', '=', tenant).forUpdate().execute();

async function assertAdministered(tx: Transaction<Schema>, tenant: string): Promise<void> {
  const { count } = await tx
    .selectFrom('accounts')
    .select(sql<string>`count(*)`.as('count'))
    .where((at) => at.and({ tenant, role: 'admin', state: 'active' }))
    .executeTakeFirstOrThrow();
  if (Number(count) === 0) throw problem('last_administrator');
}
