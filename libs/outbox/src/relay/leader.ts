import type pg from 'pg';
import { withLease, type Term } from '@postern/postgres';

export type { Term };

/**
 * Runs `work` while this replica is the one relay of the producer. The lease only spares work; that numbers are right does
 * not rest on it (R22).
 *
 * @returns false when another replica is the relay.
 */
export const asLeader = (pool: pg.Pool, producer: string, work: (term: Term) => Promise<void>): Promise<boolean> =>
  withLease(pool, `audit relay ${producer}`, work);
