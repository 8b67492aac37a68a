import { hash } from 'node:crypto';
import { policyDocument, type PolicyDocument } from '@postern/policy';
import { queryIn, type Query } from '@postern/postgres';
import { problem } from '@postern/runtime';
import type { Transaction } from 'kysely';
import { holdPolicyAlone, holdStill } from '../db/locks.ts';
import type { Schema } from '../db/schema.ts';
import { withTenants, type TenantRow } from '../tenants/with-tenants.ts';
import { withoutCompromised } from '../workloads/without-compromised.ts';

/** The policy with the tenants and the compromised workloads, as of one revision. */
export type StoredPolicy = {
  /** Grows with every change of policy, tenants or compromised workloads. */
  revision: number;
  /** SHA-256 of the stored policy, base64url: the route's entity tag. */
  contentHash: string;
  /** As it was written. */
  written: PolicyDocument;
  /** As it decides: with the tenants that were made or changed by the routes, and without trust in compromised workloads. */
  document: PolicyDocument;
};

export type PolicyStore = {
  /** What this replica holds, without a look. */
  held(): StoredPolicy;
  /** The newest one as of at most a second ago. */
  current(): Promise<StoredPolicy>;
  /** The newest one, looked up now. */
  refresh(): Promise<StoredPolicy>;
  /**
   * Whether a decision by that policy may still be committed: in the transaction that commits it (R33). A change that is
   * made at the same time waits for it, or is seen by it; revocations stand still from here on, too.
   */
  isNewest(tx: Transaction<Schema>, policy: StoredPolicy): Promise<boolean>;
  /**
   * Changes the policy or its tenants, alone. What `write` does counts once the transaction has committed.
   * @param write gets the newest policy and the connection of the transaction
   */
  change<Result>(
    tx: Transaction<Schema>,
    write: (newest: StoredPolicy, within: Query) => Promise<Result>,
  ): Promise<Result>;
};

export type NewPolicy = { document: PolicyDocument; source: 'file' | 'api'; madeBy: string };

const FRESH_MS = 1_000;

/**
 * The policy of this deployment: rows in Postgres, read by every replica. `file` is the policy of the configuration: put
 * in force on the first start, and again whenever its `version` is one that was never in force.
 */
export async function openPolicyStore({
  query,
  inTransaction,
  file,
  now,
}: {
  query: Query;
  inTransaction: <Result>(work: (tx: Transaction<Schema>) => Promise<Result>) => Promise<Result>;
  file: PolicyDocument;
  now: () => Date;
}): Promise<PolicyStore> {
  await inTransaction((tx) =>
    changing(tx, (within) => insertPolicy(within, { document: file, source: 'file', madeBy: 'configuration' }, now())),
  );
  let held = await newest(query);
  let lookedAt = now().getTime();
  let looking: Promise<StoredPolicy> | null = null;

  async function look(): Promise<StoredPolicy> {
    const at = now().getTime();
    const [row] = await query<{ revision: string }>('select revision from policy_head');
    if (Number(row?.revision) !== held.revision) held = await newest(query);
    lookedAt = at;
    return held;
  }
  const refresh = () =>
    (looking ??= look().finally(() => {
      looking = null;
    }));

  return {
    held: () => held,
    current: () => (now().getTime() - lookedAt < FRESH_MS ? Promise.resolve(held) : refresh()),
    refresh,
    async isNewest(tx, { revision }) {
      await holdStill(tx);
      // The row too: replicas of the version before change it without the lock.
      const [row] = await queryIn(tx)<{ revision: string }>('select revision from policy_head for share');
      return Number(row?.revision) === revision;
    },
    change: (tx, write) => changing(tx, async (within) => write(await newest(within), within)),
  };
}

/** Holds the head alone until the transaction ends, and counts the change. */
async function changing<Result>(tx: Transaction<Schema>, write: (within: Query) => Promise<Result>): Promise<Result> {
  const within = queryIn(tx);
  await holdPolicyAlone(tx);
  // Those of replicas of the version before, who know nothing of the lock.
  await within('select 1 from policy_head for update');
  const result = await write(within);
  await within('update policy_head set revision = revision + 1');
  return result;
}

async function newest(query: Query): Promise<StoredPolicy> {
  // One statement, one snapshot: revision, policy and tenants belong together.
  const [row] = await query<{
    revision: string;
    content_hash: string;
    document: string;
    tenants: TenantRow[] | null;
    compromised: string[] | null;
  }>(
    `select revision, p.content_hash, p.document,
       (select json_agg(json_build_object('id', id, 'issuer', issuer, 'state', state) order by id) from tenants) as tenants,
       (select json_agg(name) from compromised_workloads) as compromised
     from policy_head, lateral (select content_hash, document from policies order by id desc limit 1) p`,
  );
  if (!row) throw new Error('no policy is in force');
  const written = policyDocument.parse(JSON.parse(row.document));
  return {
    revision: Number(row.revision),
    contentHash: row.content_hash,
    written,
    document: withoutCompromised(withTenants(written, row.tenants ?? []), row.compromised ?? []),
  };
}

/** Puts a policy in force, in a change. @returns false where the version has named a document already */
export async function insertPolicy(within: Query, next: NewPolicy, now: Date): Promise<boolean> {
  const text = JSON.stringify(next.document);
  const written = await within(
    `insert into policies (version, document, content_hash, source, made_by, created_at)
     values ($1, $2, $3, $4, $5, $6) on conflict (version) do nothing returning 1`,
    [next.document.version, text, hash('sha256', text, 'base64url'), next.source, next.madeBy, now],
  );
  return written.length > 0;
}

/**
 * @throws Problem `policy_unseen` (428, RFC 6585) without a condition; `policy_changed` (412, RFC 9110 section 13.1.1) where
 * the caller has not seen the newest policy
 */
export function assertSeen({ contentHash }: StoredPolicy, ifMatch: string | undefined): void {
  if (ifMatch === undefined) throw problem('policy_unseen');
  if (ifMatch !== `"${contentHash}"`) throw problem('policy_changed');
}
