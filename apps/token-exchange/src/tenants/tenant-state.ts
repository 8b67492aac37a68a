import type { RevocationSequence } from '@postern/issuer';
import type { Query } from '@postern/postgres';
import { problem } from '@postern/runtime';
import type { StoredPolicy } from '../policy/policy-store.ts';

export const tenantStates = ['active', 'suspended', 'offboarded'] as const;
export type TenantState = (typeof tenantStates)[number];

/** What may lie between the clocks of two replicas, one minting while the other revokes. */
const SKEW_SECONDS = 2;

/** @returns false where there is one of that id */
export async function insertTenant(
  within: Query,
  { id, issuer, madeBy }: { id: string; issuer: string | null; madeBy: string },
  now: Date,
): Promise<boolean> {
  const written = await within(
    `insert into tenants (id, issuer, state, made_by, created_at, changed_at) values ($1, $2, 'active', $3, $4, $4)
     on conflict (id) do nothing returning 1`,
    [id, issuer, madeBy, now],
  );
  return written.length > 0;
}

export type Changed = { id: string; issuer: string | null; state: TenantState; revokedBefore?: Date };

/**
 * Puts a tenant into a state, in a change of the policy; leaving `active` revokes what its tokens are (R14). A tenant that
 * only the policy names, or one of a namespace, gets a row of its own.
 * @throws Problem `tenant_not_found`; `tenant_gone` for one that was offboarded
 */
export async function setTenantState(
  within: Query,
  { sequence, now }: { sequence: Pick<RevocationSequence, 'revoke'>; now: () => Date },
  { written }: StoredPolicy,
  { id, state, madeBy }: { id: string; state: TenantState; madeBy: string },
): Promise<Changed> {
  const [row] = await within<{ issuer: string | null; state: TenantState }>(
    'select issuer, state from tenants where id = $1',
    [id],
  );
  if (row?.state === 'offboarded') throw problem('tenant_gone');
  const named = written.tenants.find((one) => ('id' in one ? one.id === id : id.startsWith(one.prefix)));
  if (!row && !named) throw problem('tenant_not_found');
  const issuer = row?.issuer ?? (named && 'issuer' in named ? (named.issuer ?? null) : null);
  await writeState(within, { id, issuer, state, madeBy, now: now() });
  if (state === 'active') return { id, issuer, state };
  return { id, issuer, state, revokedBefore: await revokeTenant(within, { sequence, now }, id) };
}

/** Offboards a tenant that is known here or not, in a change of the policy; done twice it does the same. */
export async function offboard(
  within: Query,
  { sequence, now }: { sequence: Pick<RevocationSequence, 'revoke'>; now: () => Date },
  { id, madeBy }: { id: string; madeBy: string },
): Promise<void> {
  await writeState(within, { id, issuer: null, state: 'offboarded', madeBy, now: now() });
  await revokeTenant(within, { sequence, now }, id);
}

const writeState = (
  within: Query,
  {
    id,
    issuer,
    state,
    madeBy,
    now,
  }: { id: string; issuer: string | null; state: TenantState; madeBy: string; now: Date },
) =>
  within(
    `insert into tenants (id, issuer, state, made_by, created_at, changed_at) values ($1, $2, $3, $4, $5, $5)
     on conflict (id) do update set state = excluded.state, made_by = excluded.made_by, changed_at = excluded.changed_at`,
    [id, issuer, state, madeBy, now],
  );

async function revokeTenant(
  within: Query,
  { sequence, now }: { sequence: Pick<RevocationSequence, 'revoke'>; now: () => Date },
  tenant: string,
): Promise<Date> {
  const before = Math.floor(now().getTime() / 1000) + SKEW_SECONDS;
  await sequence.revoke(within, [{ kind: 'tenant', tenant, before }]);
  return new Date(before * 1000);
}
