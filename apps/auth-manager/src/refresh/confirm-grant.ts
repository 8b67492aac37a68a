import type { Kysely } from 'kysely';
import { type Logger, Problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import type { GrantRow } from '../grants/grant.ts';
import type { AccessToken, TokenAsk } from '../provider/provider-calls.ts';
import type { GrantLock } from './grant-lock.ts';
import { isConfirmed, youngSeconds } from './next-step.ts';
import { noteRestore } from './restores.ts';
import { refusalOf, settleAndRefresh, type SettleGrant } from './settle-and-refresh.ts';
import { singleFlight } from './single-flight.ts';

export type ConfirmGrant = SettleGrant & {
  db: Kysely<Schema>;
  lock: GrantLock;
  /** R11: the life of the profile's access token. */
  confirmedWithinSeconds: number;
  logger?: Logger;
};

/** A grant as whoever uses it knows it. `unasked`: nobody has asked the provider since the database was restored. */
export type KnownGrant = Pick<GrantRow, 'id' | 'provider' | 'state' | 'confirmed_at'> & { unasked?: boolean };

export type Confirm = (grant: KnownGrant) => Promise<{ refreshed: boolean }>;

export type Refreshing = {
  /**
   * Makes sure that the provider confirmed a grant recently enough (R11), by one refresh at most however many ask: shared
   * within the process, under the grant's lock between replicas. What an earlier process left open is settled first (R20).
   * In the last fifth of that time it is refreshed while it is used, so that a provider that is slow then is waited for by
   * nobody.
   * @throws Problem `grant_not_found`, `reauthorization_required`, `grant_ended`, `grant_busy`, `provider_unavailable`.
   */
  confirm: Confirm;
  /** Refreshes a grant whose time to be kept alive has come, unless somebody used it meanwhile. @throws as `confirm` */
  keep(grant: Pick<GrantRow, 'id' | 'provider'>): Promise<{ refreshed: boolean }>;
  /**
   * One refresh for an access token of the provider's own, whatever the grant's age. `until`: when the token ends that entitles to
   * it. @throws as `confirm`; `grant_token_refused` where that came before its turn
   */
  obtain(grant: Pick<GrantRow, 'id' | 'provider'>, ask: TokenAsk, until?: Date): Promise<AccessToken>;
  /** Waits for what is under way in the background. */
  settled(): Promise<void>;
};

export function openRefreshing(deps: ConfirmGrant): Refreshing {
  const share = singleFlight<{ refreshed: boolean }>();
  const background = new Set<Promise<unknown>>();
  const { confirmedWithinSeconds } = deps;
  const young = youngSeconds(confirmedWithinSeconds);

  const refresh = (grant: Pick<GrantRow, 'id' | 'provider'>, withinSeconds: number) =>
    share(grant.id, () =>
      deps.lock(grant, async (locked) => {
        await noteRestore(locked, deps.now);
        return settleAndRefresh(deps, locked, grant.id, { kind: 'confirmed', withinSeconds });
      }),
    );

  /** Nobody waits for it, and a failure costs nobody anything: whoever comes after the time is up tries again. */
  function refreshBeside(grant: Pick<GrantRow, 'id' | 'provider'>): void {
    const running = refresh(grant, young).catch((err: unknown) => {
      const code = err instanceof Problem ? err.code : undefined;
      deps.logger?.info({ err: code === undefined ? err : undefined, code, id: grant.id }, 'an early refresh failed');
    });
    background.add(running);
    void running.finally(() => background.delete(running));
  }

  return {
    async confirm(grant) {
      if (grant.state !== 'active') throw refusalOf(grant.state);
      const at = { confirmedAt: grant.confirmed_at };
      if (grant.unasked === true || !isConfirmed(at, deps.now(), confirmedWithinSeconds)) {
        return refresh(grant, confirmedWithinSeconds);
      }
      if (!isConfirmed(at, deps.now(), young)) refreshBeside(grant);
      return { refreshed: false };
    },
    // Shared with nobody: to be kept asks for less than to be confirmed.
    keep: (grant) =>
      deps.lock(grant, async (locked) => {
        await noteRestore(locked, deps.now);
        return settleAndRefresh(deps, locked, grant.id, { kind: 'kept' });
      }),
    obtain: (grant, ask, until) =>
      deps.lock(grant, async (locked) => {
        await noteRestore(locked, deps.now);
        const { access } = await settleAndRefresh(deps, locked, grant.id, { kind: 'token', ask, until });
        if (!access) throw new Error('a refresh for a token brought none');
        return access;
      }),
    async settled() {
      await Promise.all(background);
    },
  };
}
