import type { RevocationSequence } from '@postern/issuer';
import type { Query } from '@postern/postgres';
import { problem } from '@postern/runtime';
import { clientOf } from '../exchanges/client-of.ts';
import type { StoredPolicy } from '../policy/policy-store.ts';
import { namesOfWorkload } from './names-of-workload.ts';

/** What may lie between the clocks of two replicas, one minting while the other revokes. */
const SKEW_SECONDS = 2;

export type CompromiseWorkload = {
  sequence: Pick<RevocationSequence, 'revoke'>;
  /** No token that is older lives: of all that were ever minted only the last minutes' are looked at, while nobody may mint. */
  longestLifeSeconds: number;
  now: () => Date;
};

export type Compromised = {
  client: string;
  /** Every token that it held or acts in, issued before this, is refused everywhere. */
  revokedBefore: Date;
  /** How many of those had been minted here and not expired. */
  tokens: number;
};

/**
 * Ends the trust in a workload, in a change of the policy: from its commit on it gets nothing, and the tokens that it holds or
 * in which it acts are revoked (R14), by its client and by its name. Made twice it revokes again.
 * @throws Problem `workload_not_found`
 */
export async function compromiseWorkload(
  within: Query,
  { sequence, longestLifeSeconds, now }: CompromiseWorkload,
  { written }: StoredPolicy,
  { name, reason, by }: { name: string; reason: string | null; by: { tenant: string; name: string } },
): Promise<Compromised> {
  if (written.workloads.every((one) => one.name !== name)) throw problem('workload_not_found');
  const client = clientOf(written, name);
  await within(
    `insert into compromised_workloads (name, client, tenant, reason, made_by, since) values ($1, $2, $3, $4, $5, $6)
     on conflict (name) do update set reason = coalesce(excluded.reason, compromised_workloads.reason), log_closed_at = null`,
    [name, client, by.tenant, reason, by.name, now()],
  );
  const before = Math.floor(now().getTime() / 1000) + SKEW_SECONDS;
  await sequence.revoke(
    within,
    namesOfWorkload(written, name).map((one) => ({ kind: 'client', client: one, before })),
  );
  const [counted] = await within<{ tokens: number }>(
    `select count(*)::int as tokens from exchanges
     where id >= $3 and (workload = $1 or $1 = any(actors)) and expires_at > $2`,
    [name, now(), firstIdAt(now().getTime() - longestLifeSeconds * 1000)],
  );
  return { client, revokedBefore: new Date(before * 1000), tokens: counted?.tokens ?? 0 };
}

/** Trusts it again, with a new certificate. @throws Problem `workload_not_found` where it is trusted already */
export async function trustWorkload(within: Query, name: string): Promise<void> {
  const gone = await within('delete from compromised_workloads where name = $1 returning 1', [name]);
  if (gone.length === 0) throw problem('workload_not_found');
}

/** The least id (UUID version 7) that is made at that time or later. */
function firstIdAt(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}
