import { jobKind } from '@postern/bus';
import { type BranchKeys } from '@postern/branch-keys';
import { type Reconcilers } from '@postern/outbox';
import { Problem, problem } from '@postern/runtime';
import { type Kysely, sql } from 'kysely';
import { z } from 'zod';
import { type Schema } from '../db/schema.ts';
import { openToken } from '../providers/sealed-token.ts';
import { type OnBehalf } from '../providers/secret-provider.ts';
import { findMove, type Move, type MoveDeps, type MoveItem } from './move.ts';
import { intend, movedEvent } from './moved-event.ts';
import { ended, isAt, moveItem, secretOf, type Settle, stays } from './move-item.ts';
import { rollBackItem } from './roll-back-item.ts';

/** Name of the job in `/v1/jobs`. */
export const MOVE = 'secrets.move';

const modes = ['forward', 'back', 'finish'] as const;
type Mode = (typeof modes)[number];
const input = z.strictObject({ move: z.uuid(), mode: z.enum(modes) });
export const moveInput = { version: 1, input };

/** Which items each mode takes, and what the item is while it waits. */
const TAKES = { forward: ['planned', 'copying'], back: ['switched'], finish: ['switched'] } as const;
const MOST_TRIES = 5;

/**
 * Runs a move forward, back, or to its end: one secret a step, so that a crash repeats at most the copy of one. Where all are
 * through, the job says how many came to what.
 */
export const runMove = (deps: MoveDeps) =>
  jobKind<Schema, z.output<typeof input>>({
    version: 1,
    input,
    async run(work) {
      const move = await findMove(deps.db, work.tenant ?? '', work.input.move);
      const by = await tokenOf(deps.branchKeys, move);
      const { mode } = work.input;
      const total = (await count(deps, move, [...TAKES[mode]])) + Number(work.checkpoint?.['done'] ?? 0);
      let done = Number(work.checkpoint?.['done'] ?? 0);
      let after: string | null = null;
      for (let tries = 0; ;) {
        const item = await nextItem(deps, move, [...TAKES[mode]], after);
        if (!item) break;
        const settle = await settlementOf(deps, move, item, mode, by).catch(ofThisSecret(item, mode));
        let settled = false;
        await work.step(async (tx) => {
          settled = await settle(tx);
          if (!settled && tries + 1 >= MOST_TRIES) settled = await leftBehind(item, mode, 'written_meanwhile')(tx);
          done += settled ? 1 : 0;
          return { done, total, checkpoint: { done } };
        });
        tries = settled ? 0 : tries + 1;
        // One that stayed where it is does not keep the others from their turn.
        if (settled) after = item.secret_id;
      }
      return { states: await states(deps, move) };
    },
  });

function settlementOf(deps: MoveDeps, move: Move, item: MoveItem, mode: Mode, by: OnBehalf | null): Promise<Settle> {
  switch (mode) {
    case 'forward':
      return moveItem(deps, move, item, by);
    case 'back':
      return rollBackItem(deps, move, item, by);
    case 'finish':
      return finishItem(deps, move, item, by);
  }
}

/** What concerns a provider as a whole ends the job, which goes on from here later. */
const OF_ALL = new Set([
  'provider_unreachable',
  'provider_throttled',
  'provider_credentials_refused',
  'provider_unavailable',
  'provider_forbidden',
  'keys_unavailable',
]);

/** What concerns this secret alone leaves it where it is. */
const ofThisSecret = (item: MoveItem, mode: Mode) => (error: unknown) => {
  if (error instanceof Problem && !OF_ALL.has(error.code)) return leftBehind(item, mode, error.code);
  throw error;
};

/** A secret that could not be moved is left to another move; one that is to go back or be finished, to the next run of this one. */
const leftBehind = (item: MoveItem, mode: Mode, reason: string): Settle =>
  mode === 'forward' ? ended(item, 'failed', reason) : stays(item, reason);

/** What is left at the old place is destroyed: from then on there is no way back. */
async function finishItem(deps: MoveDeps, move: Move, item: MoveItem, by: OnBehalf | null): Promise<Settle> {
  const { providers, audit } = deps;
  const { old_reference: reference, secret_id: secretId } = item;
  if (reference === null) return ended(item, 'finished', null);
  const secret = await secretOf(deps, item);
  if (secret?.reference === reference && isAt(secret.place, move.from)) return stays(item, 'secret_is_there');
  const way = { secretId, from: move.from, to: move.to };
  const intent = await intend(deps, move, way);
  const provider = await providers.at(move.from);
  await provider.destroy(reference, providers.call(by));
  return async (tx) => {
    await audit.within(tx, movedEvent(deps, move, { ...way, outcome: 'success', reason: 'finished', intent }));
    return ended(item, 'finished', null)(tx);
  };
}

const nextItem = ({ db }: MoveDeps, { id }: Move, states: MoveItem['state'][], after: string | null) =>
  db
    .selectFrom('secret_move_items')
    .selectAll()
    .where('move_id', '=', id)
    .where('state', 'in', states)
    .$if(after !== null, (query) => query.where('secret_id', '>', after ?? ''))
    .orderBy('secret_id')
    .limit(1)
    .executeTakeFirst();

async function count({ db }: MoveDeps, { id }: Move, states: MoveItem['state'][]): Promise<number> {
  const row = await db
    .selectFrom('secret_move_items')
    .select((at) => at.fn.countAll<string>().as('count'))
    .where('move_id', '=', id)
    .where('state', 'in', states)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** Whether a job of this move has not ended. One at a time: what one takes back another must not destroy. */
export async function isRunning(db: Kysely<Schema>, { id, tenant }: Pick<Move, 'id' | 'tenant'>): Promise<boolean> {
  const { rows } = await sql`
    select 1 from background_jobs
     where kind = ${MOVE} and tenant = ${tenant} and state in ('queued', 'running') and input ->> 'move' = ${id}
     limit 1`.execute(db);
  return rows.length > 0;
}

/** How many secrets of a move are in which state. */
export async function states({ db }: Pick<MoveDeps, 'db'>, { id }: Pick<Move, 'id'>): Promise<Record<string, number>> {
  const rows = await db
    .selectFrom('secret_move_items')
    .select(['state', (at) => at.fn.countAll<string>().as('count')])
    .where('move_id', '=', id)
    .groupBy('state')
    .execute();
  return Object.fromEntries(rows.map(({ state, count }) => [state, Number(count)]));
}

async function tokenOf(branchKeys: BranchKeys, { tenant, sealedToken, from, to }: Move): Promise<OnBehalf | null> {
  if (from.kind !== 'crypto-store' && to.kind !== 'crypto-store') return null;
  if (sealedToken === null) throw problem('provider_forbidden');
  return openToken(branchKeys, { tenant, purpose: 'move-tokens' }, sealedToken);
}

/** The switch of a secret closes its intent in its own transaction: one that is open led to none. */
export const moveReconcilers: Reconcilers = {
  'secret.moved': async ({ details }) => ({ outcome: 'failed', reason: 'not_switched', details }),
};
