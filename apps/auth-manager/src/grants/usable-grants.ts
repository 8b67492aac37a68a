import type { Kysely } from 'kysely';
import type { Now } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import { findHandle, type HandleAt, type UsableGrant } from './find-handle.ts';

/** Grants as jobs use them, kept in memory. What is held may be out of date: a use is released only under its guard (R32). */
export type UsableGrants = {
  /** @throws Problem as {@link findHandle} does. `fresh` reads past what is held. */
  find(at: HandleAt, options: { fresh: boolean }): Promise<UsableGrant>;
};

const HELD = 20_000;

const keyOf = (at: HandleAt): string =>
  JSON.stringify(['grantId' in at ? ['g', at.grantId] : ['h', at.handleId], at.tenant, at.workload]);

export function openUsableGrants(deps: { db: Kysely<Schema>; now: Now }): UsableGrants {
  const held = new Map<string, UsableGrant>();
  return {
    async find(at, { fresh }) {
      const key = keyOf(at);
      const known = fresh ? undefined : held.get(key);
      const { expires_at: end = null } = known?.handle ?? {};
      if (known && (end === null || end > deps.now())) return known;
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
