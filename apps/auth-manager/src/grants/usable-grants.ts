import type { Kysely } from 'kysely';
import type { Now } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import { isConfirmed, youngSeconds } from '../refresh/next-step.ts';
import { findHandle, type HandleAt, type UsableGrant } from './find-handle.ts';

/** Grants as jobs use them, kept in memory. What is held may be out of date: a use is released only under its guard (R32). */
export type UsableGrants = {
  /** @throws Problem as {@link findHandle} does. `fresh` reads past what is held. */
  find(at: HandleAt, options: { fresh: boolean }): Promise<UsableGrant>;
};

const HELD = 20_000;

const keyOf = (at: HandleAt): string =>
  JSON.stringify(['grantId' in at ? ['g', at.grantId] : ['h', at.handleId], at.tenant, at.workload]);

export type OpenUsableGrants = { db: Kysely<Schema>; now: Now; confirmedWithinSeconds: number };

/**
 * What is held serves until its handle ends, and while the provider's word is young: then it is read again, since this replica or
 * another may have asked the provider meanwhile.
 */
export function openUsableGrants(deps: OpenUsableGrants): UsableGrants {
  const held = new Map<string, UsableGrant>();
  const young = youngSeconds(deps.confirmedWithinSeconds);
  const serves = ({ grant, handle }: UsableGrant) =>
    (handle.expires_at === null || handle.expires_at > deps.now()) &&
    isConfirmed({ confirmedAt: grant.confirmed_at }, deps.now(), young);
  return {
    async find(at, { fresh }) {
      const key = keyOf(at);
      const known = fresh ? undefined : held.get(key);
      if (known && serves(known)) return known;
      held.delete(key);
      const found = await findHandle(deps, at);
      // A handle that counts its uses is read each time; a grant that cannot be used is asked for seldom.
      if (!found.handle.limited && found.grant.state === 'active') {
        held.set(key, found);
        const [oldest] = held.keys();
        if (held.size > HELD && oldest !== undefined) held.delete(oldest);
      }
      return found;
    },
  };
}
