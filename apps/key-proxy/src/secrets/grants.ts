import { type Kysely, type Transaction } from 'kysely';
import { problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { type Verb } from './verbs.ts';

export type Grant = { issuer: string; sub: string; verbs: Verb[]; grantedAt: Date };

export async function listGrants(db: Kysely<Schema>, secretId: string): Promise<Grant[]> {
  const rows = await db
    .selectFrom('secret_grants')
    .select(['grantee_issuer', 'grantee_sub', 'verbs', 'granted_at'])
    .where('secret_id', '=', secretId)
    .orderBy('grantee_issuer')
    .orderBy('grantee_sub')
    .execute();
  return rows.map(({ grantee_issuer: issuer, grantee_sub: sub, verbs, granted_at: grantedAt }) => ({
    issuer,
    sub,
    verbs,
    grantedAt,
  }));
}

const MOST_GRANTS = 100;

/** Sets what a person may do with a secret, in place of what they might before. @throws Problem `too_many_grants` */
export async function grant(
  tx: Transaction<Schema>,
  secretId: string,
  { issuer, sub, verbs }: Pick<Grant, 'issuer' | 'sub' | 'verbs'>,
  now: Date,
): Promise<void> {
  const set = { verbs, granted_at: now };
  await tx
    .insertInto('secret_grants')
    .values({ secret_id: secretId, grantee_issuer: issuer, grantee_sub: sub, ...set })
    .onConflict((conflict) => conflict.columns(['secret_id', 'grantee_issuer', 'grantee_sub']).doUpdateSet(set))
    .execute();
  if ((await listGrants(tx, secretId)).length > MOST_GRANTS) throw problem('too_many_grants');
}

/** @throws Problem `grant_not_found` */
export async function withdraw(
  tx: Transaction<Schema>,
  secretId: string,
  { issuer, sub }: Pick<Grant, 'issuer' | 'sub'>,
): Promise<void> {
  const gone = await tx
    .deleteFrom('secret_grants')
    .where((at) => at.and({ secret_id: secretId, grantee_issuer: issuer, grantee_sub: sub }))
    .returning('secret_id')
    .execute();
  if (gone.length === 0) throw problem('grant_not_found');
}
