import type { Kysely } from 'kysely';
import { problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import type { GrantRow } from '../grants/grant.ts';
import { openText } from '../grants/vault.ts';
import { nextDue } from '../keep-alive/next-due.ts';
import type { AccessToken, TokenAsk } from '../provider/provider-calls.ts';
import { applyReply } from './apply-reply.ts';
import type { LockedConnection } from './grant-lock.ts';
import { nextStep } from './next-step.ts';
import { openAttempt, type OpenAttemptRow } from './open-attempt.ts';
import { restoredAt } from './restores.ts';
import { sendRefresh, type SendRefresh } from './send-refresh.ts';
import { abandonAttempt, requireReauthorization } from './settle-attempt.ts';

/** What a refresh is recorded with (R23): its intent before anything is sent, its outcome after. */
export type RecordRefresh = <Result extends { attempt: string; rotated: boolean }>(
  grant: GrantRow,
  act: () => Promise<Result>,
) => Promise<Result>;

export type SettleGrant = SendRefresh & {
  recordRefresh: RecordRefresh;
  /** An answer was lost and with it the grant: recorded before it is marked. */
  recordLoss: (grant: GrantRow) => Promise<void>;
};

/** What somebody wants of a grant: confirmed within so long; kept alive, where its slot has come; or a token, asked for before `until`. */
export type Wanted =
  | { kind: 'confirmed'; withinSeconds: number }
  | { kind: 'kept' }
  | { kind: 'token'; ask: TokenAsk; until: Date | undefined };

export type Settled = { refreshed: boolean; access?: AccessToken | undefined };

async function grantRow(db: Kysely<Schema>, id: string): Promise<GrantRow> {
  const grant = await db.selectFrom('grants').selectAll().where('id', '=', id).executeTakeFirst();
  if (!grant) throw problem('grant_not_found');
  return grant;
}

/** How old a confirmation may be for what is wanted. */
function ageAllowed(wanted: Wanted, grant: GrantRow, now: Date): number {
  switch (wanted.kind) {
    case 'confirmed':
      return wanted.withinSeconds;
    case 'kept':
      return grant.due_at === null || grant.due_at > now ? Infinity : 0;
    case 'token':
      return 0;
  }
}

// Each turn settles one thing; a grant needs at most: ask, apply or abandon what was left, refresh, use.
const TURNS = 5;

/**
 * Takes a grant step by step to where it can be used, under its lock (R20, `next-step.ts`).
 * @throws Problem `grant_not_found`, `reauthorization_required`, `grant_ended`, `provider_unavailable`; `grant_token_refused` after `until`.
 */
export async function settleAndRefresh(
  deps: SettleGrant,
  locked: LockedConnection,
  grantId: string,
  wanted: Wanted,
): Promise<Settled> {
  const { now } = deps;
  for (let turn = 0; turn < TURNS; turn++) {
    const grant = await grantRow(locked, grantId);
    const attempt = await openAttempt(locked, grantId);
    const state = { state: grant.state, confirmedAt: grant.confirmed_at, restoredAt: await restoredAt(locked) };
    const confirmedWithinSeconds = ageAllowed(wanted, grant, now());
    const next = nextStep({ grant: state, attempt, now: now(), confirmedWithinSeconds });
    switch (next.step) {
      case 'use':
        return { refreshed: false };
      case 'refuse':
        throw refusalOf(next.state);
      case 'wait': {
        const seconds = Math.ceil((next.until.getTime() - now().getTime()) / 1000);
        throw problem('provider_unavailable', { retryAfterSeconds: Math.max(1, seconds) });
      }
      case 'apply_reply':
        if (attempt) await applyReply(deps, locked, grant, attempt, now());
        break;
      case 'ask_first':
        await askFirst(deps, locked, grant);
        break;
      case 'ask_provider':
        if (attempt) await settleLost(deps, locked, grant, attempt);
        break;
      case 'refresh': {
        const { ask, until } = wanted.kind === 'token' ? wanted : {};
        // Whoever asks has waited for the lock: what entitled to it may have ended meanwhile.
        if (until !== undefined && until <= now()) throw problem('grant_token_refused');
        const token = await tokenOf(deps, grant);
        const { access } = await deps.recordRefresh(grant, () => sendRefresh(deps, locked, grant, token, ask));
        return { refreshed: true, access };
      }
    }
  }
  throw new Error('a grant did not come to rest');
}

export const refusalOf = (state: Exclude<GrantRow['state'], 'active'>) =>
  problem(state === 'reauthorization_required' ? 'reauthorization_required' : 'grant_ended');

async function tokenOf({ vault }: SettleGrant, { tenant, id, sealed_token }: GrantRow) {
  if (!sealed_token) throw problem('grant_ended');
  return openText(vault, { tenant, what: 'token', id }, sealed_token);
}

/** R20: after a restore the token may be one that was used long ago. A look consumes nothing, and confirms the grant (R11). */
async function askFirst(deps: SettleGrant, locked: LockedConnection, grant: GrantRow): Promise<void> {
  const { id, kind, generation, idle_seconds: idleSeconds } = grant;
  if (!(await deps.providerOf(grant).isActive(await tokenOf(deps, grant)))) {
    await deps.recordLoss(grant);
    await requireReauthorization(locked, deps, grant, { cause: 'restored' });
    return;
  }
  const confirmed = { confirmed_at: deps.now(), due_at: nextDue({ id, kind, idleSeconds }, deps.now()) };
  await locked
    .updateTable('grants')
    .set(confirmed)
    .where((row) => row.and({ id, generation }))
    .execute();
}

/** R20: an answer was lost. Introspection consumes nothing and tells whether the token we hold is still the live one. */
async function settleLost(
  deps: SettleGrant,
  locked: LockedConnection,
  grant: GrantRow,
  { id, generation }: OpenAttemptRow,
): Promise<void> {
  // A further consent has brought another token since: whatever became of the old one no longer matters.
  const overtaken = generation !== grant.generation;
  if (overtaken || (await deps.providerOf(grant).isActive(await tokenOf(deps, grant)))) {
    await abandonAttempt(locked, id, deps.now());
    return;
  }
  await deps.recordLoss(grant);
  await requireReauthorization(locked, deps, grant, { attempt: id, cause: 'reply_lost' });
}
