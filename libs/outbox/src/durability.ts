import type { Query } from '@postern/postgres';

/** What "committed" means at this Postgres. */
export type Durability = { fsync: string; commits: string; names: string; standbys: number };

export async function readDurability(query: Query): Promise<Durability> {
  const [row] = await query<Durability>(
    `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commits,
       current_setting('synchronous_standby_names') as names, (select count(*)::int from pg_stat_replication) as standbys
     from (select 1) one left join audit_groups on false limit 1`,
  );
  if (!row) throw new Error('Postgres does not say what is durable');
  return row;
}

/** `ANY 1 (...)`: a quorum of standbys (PostgreSQL, section 26.2.8.3). */
const QUORUM = /^\s*ANY\s+[1-9]\d*\s*\(/i;

/**
 * "Nothing acknowledged is lost" assumes fsync, synchronous commits and, with standbys, quorum replication (R22).
 *
 * @throws Error naming what is missing.
 */
export function assertDurable({ fsync, commits, names, standbys }: Durability, replication: 'any' | 'quorum'): void {
  if (fsync !== 'on') throw new Error('Postgres acknowledges what is not durable: fsync is off (R22)');
  if (commits !== 'on' && commits !== 'remote_apply') {
    throw new Error(`Postgres acknowledges what is not durable: synchronous_commit is ${commits} (R22)`);
  }
  if (replication === 'quorum' && standbys > 0 && !QUORUM.test(names)) {
    throw new Error('Postgres acknowledges what no quorum of its standbys has: set synchronous_standby_names (R22)');
  }
}
