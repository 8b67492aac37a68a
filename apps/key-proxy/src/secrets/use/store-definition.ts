import { type Kysely, sql, type Transaction } from 'kysely';
import { problem } from '@postern/runtime';
import { type Schema } from '../../db/schema.ts';
import { type HeldSecret } from '../held-secret.ts';
import { type UseDefinition, useDefinition } from './use-definition.ts';

export type HeldUse = { definition: UseDefinition; generation: string };

/** @throws Problem `use_not_defined` */
export async function findUse(db: Kysely<Schema>, secretId: string): Promise<HeldUse> {
  const row = await db
    .selectFrom('secret_uses')
    .select(['definition', 'generation'])
    .where('secret_id', '=', secretId)
    .executeTakeFirst();
  if (!row) throw problem('use_not_defined');
  return { definition: useDefinition.parse(row.definition), generation: row.generation };
}

export async function defineUse(
  tx: Transaction<Schema>,
  secretId: string,
  definition: UseDefinition,
  now: Date,
): Promise<void> {
  const text = JSON.stringify(definition);
  await tx
    .insertInto('secret_uses')
    .values({ secret_id: secretId, definition: text, defined_at: now })
    .onConflict((conflict) =>
      conflict.column('secret_id').doUpdateSet({
        definition: text,
        defined_at: now,
        generation: sql`secret_uses.generation + 1`,
      }),
    )
    .execute();
}

export async function removeUse(tx: Transaction<Schema>, secretId: string): Promise<void> {
  const gone = await tx.deleteFrom('secret_uses').where('secret_id', '=', secretId).returning('secret_id').execute();
  if (gone.length === 0) throw problem('use_not_defined');
}

/**
 * Whether secret, grant and definition are still what a use was prepared from (R32), on the primary: asked right before
 * the request leaves.
 */
export async function stillUsable(db: Kysely<Schema>, secret: HeldSecret, use: HeldUse): Promise<boolean> {
  const { rows } = await sql<{ one: number }>`
    select 1 as one from secrets s join secret_uses u on u.secret_id = s.id
     where s.id = ${secret.id} and s.generation = ${secret.generation} and s.state = 'live'
       and (s.expires_at is null or s.expires_at > now()) and u.generation = ${use.generation}
       and (${secret.grant}::text is null or exists (
         select 1 from secret_grants g, unnest(g.verbs) verb
          where g.secret_id = s.id and verb || ' ' || g.grantee_issuer || ' ' || g.grantee_sub = ${secret.grant}
       ))`.execute(db);
  return rows.length === 1;
}
