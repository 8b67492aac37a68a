import { BY_TENANT, removeRows, type Removed } from '@postern/branch-keys/destruction';
import { queryIn } from '@postern/postgres';
import { type Transaction } from 'kysely';
import { type Schema } from '../db/schema.ts';

/** Of a tenant whose destruction has begun (R33), nobody logs in, refreshes or takes up an invitation any more. */
export async function denyAccounts(tx: Transaction<Schema>, tenant: string): Promise<void> {
  const accounts = tx.selectFrom('accounts').select('id').where('tenant', '=', tenant);
  await tx.deleteFrom('sessions').where('account', 'in', accounts).execute();
  await tx.deleteFrom('invitations').where('tenant', '=', tenant).execute();
  await tx.updateTable('accounts').set({ state: 'disabled' }).where('tenant', '=', tenant).execute();
}

/**
 * A page of everything that this service holds of the tenant: accounts, credentials of its providers, and where its secrets
 * lie. What lies at its own providers stays there; what lies in crypto-store ends with the keys there.
 */
export const removeSecrets = (tx: Transaction<Schema>, tenant: string): Promise<Removed> =>
  removeRows(queryIn(tx), tenant, [
    ['secret_moves', BY_TENANT],
    ['provider_writes', BY_TENANT],
    ['secrets', BY_TENANT],
    ['secret_counts', BY_TENANT],
    ['provider_defaults', BY_TENANT],
    ['providers', BY_TENANT],
    ['provider_configurations', BY_TENANT],
    ['background_jobs', BY_TENANT],
    ['invitations', BY_TENANT],
    ['accounts', BY_TENANT],
    ['companies', BY_TENANT],
  ]);
