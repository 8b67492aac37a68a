import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { heldSecret, type HeldSecret, isNewestDisabled } from './held-secret.ts';
import { type Owner } from './owner.ts';

export type ListSecrets = {
  /** The last name of the page before. */
  after?: string | undefined;
  limit: number;
  prefix?: string | undefined;
  /** Only those that have this tag, with this value. */
  tag?: { name: string; value: string } | undefined;
  /** `live` only, unless all are asked for. */
  all?: boolean;
  /** Only those whose newest value may be read now. */
  readableAt?: Date | undefined;
};

/** A page of a person's own secrets, by name. */
export async function listSecrets(
  db: Kysely<Schema>,
  owner: Owner,
  { after, limit, prefix, tag, all = false, readableAt }: ListSecrets,
): Promise<HeldSecret[]> {
  const rows = await db
    .selectFrom('secrets')
    .selectAll()
    .where('tenant', '=', owner.tenant)
    .where('owner_issuer', '=', owner.issuer)
    .where('owner_sub', '=', owner.sub)
    .where('state', 'in', all ? ['live', 'disabled', 'deleted'] : ['live'])
    .$if(after !== undefined, (query) => query.where('name', '>', after ?? ''))
    .$if(prefix !== undefined, (query) =>
      query.where((at) => at(at.fn<string>('left', ['name', at.val(prefix?.length ?? 0)]), '=', prefix ?? '')),
    )
    .$if(tag !== undefined, (query) =>
      query.where((at) =>
        at('tags', '@>', at.cast(at.val(JSON.stringify({ [tag?.name ?? '']: tag?.value })), 'jsonb') as never),
      ),
    )
    .$if(readableAt !== undefined, (query) =>
      query
        .where((at) => at.or([at('expires_at', 'is', null), at('expires_at', '>', readableAt ?? null)]))
        .where((at) => at.not(isNewestDisabled)),
    )
    .orderBy('name')
    .limit(limit)
    .execute();
  return rows.map(heldSecret);
}
