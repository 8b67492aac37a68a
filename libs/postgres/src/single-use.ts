import { createHash } from 'node:crypto';
import type { MigrationSet } from './migration-set.ts';
import type { Query } from './query.ts';

/** Values that are good once (R16). Only a digest is kept: a value may be a secret. */
export const singleUseMigrations: MigrationSet = {
  set: 'single-use',
  steps: {
    '0001-single-use': `
      create table single_use (
        kind text not null,
        digest bytea not null check (octet_length(digest) = 32),
        expires_at timestamptz not null,
        primary key (kind, digest)
      );
      create index single_use_expires_at on single_use (expires_at);
    `,
  },
};

/**
 * Uses a value of a kind (`dpop-jti`, `consent-state`): true the first time, false ever after, also in other replicas
 * and also while the first use is not yet committed, in which case it waits for the outcome.
 *
 * @param expiresAt when the value would be refused anyway, clock skew included: from then on it may be forgotten.
 * @throws what the database throws. Then the caller refuses (R16).
 */
export async function useOnce(query: Query, kind: string, value: string, expiresAt: Date): Promise<boolean> {
  const rows = await query(
    'insert into single_use (kind, digest, expires_at) values ($1, $2, $3) on conflict do nothing returning 1',
    [kind, createHash('sha256').update(value).digest(), expiresAt],
  );
  return rows.length === 1;
}

/** Forgets up to `limit` values whose time has passed. Returns how many. */
export async function forgetExpired(query: Query, now: Date, limit = 1_000): Promise<number> {
  const rows = await query(
    `delete from single_use where ctid = any(array(
       select ctid from single_use where expires_at < $1 limit $2 for update skip locked
     )) returning 1`,
    [now, limit],
  );
  return rows.length;
}
