import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { type Place } from '../providers/open-providers.ts';
import { type HeldSecret } from './held-secret.ts';

/**
 * Where else than in its place a secret's value may lie: where it was before a move that can still be taken back, and where one that
 * was not ended, or was taken back, has copied it to.
 */
export async function copiesOf(
  db: Kysely<Schema>,
  { id, place: { tenant } }: Pick<HeldSecret, 'id' | 'place'>,
): Promise<{ place: Place; reference: string }[]> {
  const rows = await db
    .selectFrom('secret_move_items as i')
    .innerJoin('secret_moves as m', 'm.id', 'i.move_id')
    .select(['i.state', 'i.old_reference', 'i.new_reference'])
    .select(['m.from_kind', 'm.from_configuration', 'm.to_kind', 'm.to_configuration'])
    .where('i.secret_id', '=', id)
    .where('i.state', 'in', ['copying', 'switched', 'failed', 'rolled_back'])
    .orderBy('m.created_at')
    .execute();
  return rows.flatMap((row) => {
    const [kind, configuration, reference] =
      row.state === 'switched'
        ? [row.from_kind, row.from_configuration, row.old_reference]
        : [row.to_kind, row.to_configuration, row.new_reference];
    return reference === null ? [] : [{ place: { tenant, kind, configuration }, reference }];
  });
}
