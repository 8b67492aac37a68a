import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { type ValueType } from './secret-value.ts';

export type HeldVersion = {
  version: number;
  providerVersion: string;
  type: ValueType;
  bytes: number | null;
  state: 'enabled' | 'disabled';
  publicKey: string | null;
  createdAt: Date;
};

/** What is kept here of a secret's versions, newest first; `before` is the last number of the page before. */
export async function listVersions(
  db: Kysely<Schema>,
  secretId: string,
  { before, limit }: { before?: number | undefined; limit: number },
): Promise<HeldVersion[]> {
  const rows = await db
    .selectFrom('secret_versions')
    .select(['version', 'provider_version', 'type', 'bytes', 'state', 'public_key', 'created_at'])
    .where('secret_id', '=', secretId)
    .$if(before !== undefined, (query) => query.where('version', '<', before ?? 0))
    .orderBy('version', 'desc')
    .limit(limit)
    .execute();
  return rows.map(({ provider_version, public_key, created_at, ...row }) => ({
    ...row,
    providerVersion: provider_version,
    publicKey: public_key,
    createdAt: created_at,
  }));
}
