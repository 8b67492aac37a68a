import type { Kysely } from 'kysely';
import { problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import type { GrantRow } from '../grants/grant.ts';
import { openText } from '../grants/vault.ts';
import { applyReply } from './apply-reply.ts';
import { type GrantLock, type LockedConnection } from './grant-lock.ts';
import { isConfirmed, nextStep } from './next-step.ts';
import { openAttempt, type OpenAttemptRow } from './open-attempt.ts';
import { sendRefresh, type SendRefresh } from './send-refresh.ts';
import { abandonAttempt, requireReauthorization } from './settle-attempt.ts';
import { singleFlight } from './single-flight.ts';

/** What a refresh is recorded with (R23): its intent before anything is sent, its outcome after. */
export type RecordRefresh = (
  grant: GrantRow,
  act: () => Promise<{ attempt: string; rotated: boolean }>,
) => Promise<{ attempt: string; rotated: boolean }>;

export type ConfirmGrant = SendRefresh & {
  db: Kysely<Schema>;
  lock: GrantLock;
  recordRefresh: RecordRefresh;
  /** An answer was lost and with it the grant: recorded before it is marked. */
  recordLoss: (grant: GrantRow) => Promise<void>;
  /** R11: the life of the profile's access token. */
  confirmedWithinSeconds: number;
};

export type Confirm = (grant: Pick<GrantRow, 'id' | 'state' | 'confirmed_at'>) => Promise<{ refreshed: boolean }>;

async function grantRow(db: Kysely<Schema>, id: string): Promise<GrantRow> {
  const grant = await db.selectFrom('grants').selectAll().where('id', '=', id).executeTakeFirst();
  if (!grant) throw problem('grant_not_found');
  return grant;
}

/**
 * Makes sure that the provider confirmed a grant recently enough (R11), by one refresh at most however many ask: shared
 * within the process, under the grant's lock between replicas. What an earlier process left open is settled first (R20).
 * @throws Problem `grant_not_found`, `reauthorization_required`, `grant_ended`, `grant_busy`, `provider_unavailable`.
 */
export function confirmGrant(deps: ConfirmGrant): Confirm {
  const share = singleFlight<{ refreshed: boolean }>();
  return async (grant) => {
    if (grant.state !== 'active') throw refusalOf(grant.state);
    if (isConfirmed({ confirmedAt: grant.confirmed_at }, deps.now(), deps.confirmedWithinSeconds)) {
      return { refreshed: false };
    }
    return share(grant.id, () => deps.lock(grant.id, (locked) => settleAndRefresh(deps, locked, grant.id)));
  };
}

// Each turn settles one thing; a grant needs at most: apply or abandon what was left, refresh, use.
const TURNS = 4;

async function settleAndRefresh(
  deps: ConfirmGrant,
  locked: LockedConnection,
  grantId: string,
): Promise<{ refreshed: boolean }> {
  const { now, confirmedWithinSeconds } = deps;
  let refreshed = false;
  for (let turn = 0; turn < TURNS; turn++) {
    const grant = await grantRow(locked, grantId);
    const attempt = await openAttempt(locked, grantId);
    const state = { state: grant.state, confirmedAt: grant.confirmed_at };
    const next = nextStep({ grant: state, attempt, now: now(), confirmedWithinSeconds });
    switch (next.step) {
      case 'use':
        return { refreshed };
      case 'refuse':
        throw refusalOf(next.state);
      case 'wait': {
        const seconds = Math.ceil((next.until.getTime() - now().getTime()) / 1000);
        throw problem('provider_unavailable', { retryAfterSeconds: Math.max(1, seconds) });
      }
      case 'apply_reply':
        if (attempt) await applyReply(deps, locked, grant, attempt, now());
        break;
      case 'ask_provider':
        if (attempt) await settleLost(deps, locked, grant, attempt);
        break;
      case 'refresh':
        await deps.recordRefresh(grant, async () => sendRefresh(deps, locked, grant, await tokenOf(deps, grant)));
        refreshed = true;
    }
  }
  throw new Error('a grant did not come to rest');
}

const refusalOf = (state: Exclude<GrantRow['state'], 'active'>) =>
  problem(state === 'reauthorization_required' ? 'reauthorization_required' : 'grant_ended');

async function tokenOf({ vault }: ConfirmGrant, { tenant, id, sealed_token }: GrantRow) {
  if (!sealed_token) throw problem('grant_ended');
  return openText(vault, { tenant, what: 'token', id }, sealed_token);
}

/** R20: an answer was lost. Introspection consumes nothing and tells whether the token we hold is still the live one. */
async function settleLost(
  deps: ConfirmGrant,
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
  await requireReauthorization(locked, deps, grant, id, deps.now());
}
