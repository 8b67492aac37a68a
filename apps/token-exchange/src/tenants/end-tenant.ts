import { BY_TENANT, removeRows, type Removed } from '@postern/branch-keys/destruction';
import type { RevocationSequence } from '@postern/issuer';
import { queryIn } from '@postern/postgres';
import type { Transaction } from 'kysely';
import type { Schema } from '../db/schema.ts';
import type { PolicyStore } from '../policy/policy-store.ts';
import { offboard } from './tenant-state.ts';

export type EndTenant = {
  policies: Pick<PolicyStore, 'change'>;
  sequence: Pick<RevocationSequence, 'revoke'>;
  now: () => Date;
};

const DESTRUCTION = 'destruction';

/**
 * A tenant whose destruction has begun (R33) is offboarded, whether the policy names it or not: nothing is minted for it
 * again, and every token that it has is revoked everywhere (R14).
 */
export const offboardEnded = (tx: Transaction<Schema>, deps: EndTenant, tenant: string): Promise<void> =>
  deps.policies.change(tx, async (_, within) => {
    await offboard(within, deps, { id: tenant, madeBy: DESTRUCTION });
  });

/** A page of what was asked and decided for the tenant. That there was one, and that it ended, stays in `tenants`. */
export async function removeExchanges(tx: Transaction<Schema>, tenant: string): Promise<Removed> {
  const query = queryIn(tx);
  const removed = await removeRows(query, tenant, [
    ['approval_decisions', 't.approval_id in (select id from approvals where tenant = $1)'],
    ['approvals', BY_TENANT],
    ['web_sessions', BY_TENANT],
  ]);
  // No role of this service may delete an exchange; the function lets go those of a tenant that is denied for ever.
  const [row] = await query<{ gone: number }>('select remove_ended_exchanges($1, $2) as gone', [tenant, PAGE]);
  return { ...removed, exchanges: row?.gone ?? 0 };
}

const PAGE = 1_000;
