import { sql, type Transaction } from 'kysely';
import type { Schema } from './schema.ts';

/**
 * Two things that have to stand still while a token is minted, held until the transaction ends. Many may mint at once, who changes
 * is alone, and comes in its turn: a row that is locked `for share` by one exchange after the other would never be free for it.
 */
const POLICY_LOCK = 0x7478_706f;
const LINEAGE_LOCK = 0x7478_6c69;

/** Policy and revocations: taken before either is read for a decision that this transaction commits. */
export const holdStill = (tx: Transaction<Schema>) =>
  sql`select pg_advisory_xact_lock_shared(${POLICY_LOCK}), pg_advisory_xact_lock_shared(${LINEAGE_LOCK})`.execute(tx);

/** Before a policy, a tenant or a workload's state is changed. */
export const holdPolicyAlone = (tx: Transaction<Schema>) =>
  sql`select pg_advisory_xact_lock(${POLICY_LOCK})`.execute(tx);

/** Before a revocation is written: whatever was minted from what it reaches is either seen by it, or sees it. */
export const holdLineageAlone = (tx: Transaction<Schema>) =>
  sql`select pg_advisory_xact_lock(${LINEAGE_LOCK})`.execute(tx);
