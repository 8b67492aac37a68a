import { randomUUID } from 'node:crypto';
import { sql, type Kysely, type Transaction } from 'kysely';
import { Problem, problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { limits } from '../providers/capabilities.ts';
import { type Place } from '../providers/open-providers.ts';
import { referenceOf } from '../providers/reference.ts';
import { type Owner } from '../secrets/owner.ts';

export type Plan = { id: string; secrets: number; blocked: { id: string; name: string; reason: string }[] };

const MOST = 100_000;

/**
 * Plans a move of all secrets of a tenant that lie at one place. Those that the destination would not take are named, and
 * stay where they are.
 * @throws Problem `move_empty`; `move_under_way` where another move of the tenant has not ended, or this would lead back to where an
 *   earlier one came from
 */
export async function planMove(
  tx: Transaction<Schema>,
  { owner, from, to, sealedToken }: { owner: Owner; from: Place; to: Place; sealedToken: Buffer | null },
  now: Date,
): Promise<Plan> {
  // Of two plans at once the second finds the first.
  await sql`select pg_advisory_xact_lock(hashtextextended(${`moves of ${owner.tenant}`}, 0))`.execute(tx);
  const rows = await tx
    .selectFrom('secrets as s')
    .leftJoin('secret_versions as v', (join) =>
      join.onRef('v.secret_id', '=', 's.id').onRef('v.version', '=', 's.version'),
    )
    .select(['s.id', 's.name', 's.type', 'v.bytes'])
    .where((at) => at.and({ 's.tenant': owner.tenant, 's.provider': from.kind }))
    .where('s.configuration', 'is not distinct from', from.configuration)
    .where('s.state', 'in', ['live', 'disabled'])
    .limit(MOST)
    .execute();
  if (rows.length === 0) throw problem('move_empty');
  if (await underWay(tx, owner.tenant)) throw problem('move_under_way');
  if (await leadsBack(tx, owner.tenant, from, to))
    throw problem('move_under_way', { detail: 'an earlier move from there is to be taken back or finished first' });
  const id = randomUUID();
  await tx
    .insertInto('secret_moves')
    .values({
      id,
      tenant: owner.tenant,
      started_by_issuer: owner.issuer,
      started_by_sub: owner.sub,
      from_kind: from.kind,
      from_configuration: from.configuration,
      to_kind: to.kind,
      to_configuration: to.configuration,
      sealed_token: sealedToken,
      created_at: now,
    })
    .execute();
  const blocked: Plan['blocked'] = [];
  for (const { id: secret, name, type, bytes } of rows) {
    const reason = obstacle(to, { id: secret, name, type, bytes });
    if (reason !== null) blocked.push({ id: secret, name, reason });
  }
  const stay = new Map(blocked.map((one) => [one.id, one.reason]));
  await tx
    .insertInto('secret_move_items')
    .columns(['move_id', 'secret_id', 'state', 'reason'])
    .expression(
      sql`select ${id}::uuid, i.secret, i.state, i.reason from unnest(
        ${rows.map((row) => row.id)}::uuid[],
        ${rows.map((row) => (stay.has(row.id) ? 'failed' : 'planned'))}::text[],
        ${rows.map((row) => stay.get(row.id) ?? null)}::text[]) as i(secret, state, reason)` as never,
    )
    .execute();
  return { id, secrets: rows.length, blocked };
}

function obstacle(
  to: Place,
  { id, name, type, bytes }: { id: string; name: string; type: 'text' | 'binary'; bytes: number | null },
): string | null {
  const most = type === 'text' ? limits[to.kind].valueBytes : limits[to.kind].binaryBytes;
  if (bytes !== null && bytes > most) return 'value_too_large';
  try {
    referenceOf(to.kind, { id, name });
    return null;
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
}

/**
 * Whether some of these secrets lay at the destination before a move that can still be taken back. There they would be written over what
 * that move keeps for its way back, and its end would destroy both.
 */
async function leadsBack(db: Kysely<Schema>, tenant: string, from: Place, to: Place): Promise<boolean> {
  const row = await db
    .selectFrom('secret_move_items as i')
    .innerJoin('secret_moves as m', 'm.id', 'i.move_id')
    .innerJoin('secrets as s', 's.id', 'i.secret_id')
    .select('m.id')
    .where((at) =>
      at.and({ 'm.tenant': tenant, 'i.state': 'switched', 'm.from_kind': to.kind, 's.provider': from.kind }),
    )
    .where('m.from_configuration', 'is not distinct from', to.configuration)
    .where('s.configuration', 'is not distinct from', from.configuration)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

async function underWay(db: Kysely<Schema>, tenant: string): Promise<boolean> {
  const row = await db
    .selectFrom('secret_move_items as i')
    .innerJoin('secret_moves as m', 'm.id', 'i.move_id')
    .select('m.id')
    .where('m.tenant', '=', tenant)
    .where('i.state', 'in', ['planned', 'copying'])
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
