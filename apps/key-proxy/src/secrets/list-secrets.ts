import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { type ProviderKind } from '../providers/provider-kind.ts';
import { type Owner } from './owner.ts';

/** A secret as it is kept here: where its value lies, never the value. */
export type HeldSecret = {
  id: string;
  name: string;
  provider: ProviderKind;
  reference: string;
  version: string;
  generation: string;
  createdAt: Date;
};

/** A page of a person's own secrets, by name; `after` is the last name of the page before. */
export async function listSecrets(
  db: Kysely<Schema>,
  owner: Owner,
  { after, limit }: { after?: string | undefined; limit: number },
): Promise<HeldSecret[]> {
  const rows = await db
    .selectFrom('secrets')
    .select(['id', 'name', 'provider', 'reference', 'provider_version', 'generation', 'created_at'])
    .where('tenant', '=', owner.tenant)
    .where('owner_issuer', '=', owner.issuer)
    .where('owner_sub', '=', owner.sub)
    .where('state', '=', 'live')
    .$if(after !== undefined, (query) => query.where('name', '>', after ?? ''))
    .orderBy('name')
    .limit(limit)
    .execute();
  return rows.map(({ provider_version, created_at, ...row }) => ({
    ...row,
    version: provider_version ?? '',
    createdAt: created_at,
  }));
}
