import { startRounds, type Logger } from '@postern/runtime';
import { applyDestroyed } from '../destroy-keys.ts';
import { openDestroyedList, type DestroyedList } from '../destroyed-list.ts';
import { type Query } from '../table.ts';
import { denyListed, readEnded } from './ended-tenants.ts';
import { followDestructions, type FollowDestructions } from './follow-destructions.ts';

/**
 * The tenants that this service denies: no token of theirs is taken, whoever signed it. What holds is the table
 * `ended_tenants` of the service's own database (R33); each replica reads it once a second.
 */
export type EndedTenants = {
  has(tenant: string): boolean;
  /** The same revocations, to which every token of a denied tenant is revoked. */
  over<Of extends { tenant: string }, State extends string>(revocations: {
    stateOf(principal: Of): State | Promise<State>;
  }): { stateOf(principal: Of): State | 'revoked' | Promise<State> };
  /** Kept outside the database; null where no path was given. */
  list: DestroyedList | null;
  /** In the worker: takes part in destructions, as {@link followDestructions} says, until it is closed. */
  follow<Schema>(
    part: Omit<FollowDestructions<Schema>, 'list' | 'logger' | 'now'>,
  ): ReturnType<typeof followDestructions>;
  close(): Promise<void>;
};

const EVERY_SECONDS = 1;

/**
 * Opens what a service knows of destroyed keys and tenants, before it serves. A database that was restored may have brought
 * some back: what the list at `path` names is destroyed and denied here too (R33).
 */
export async function openEndedTenants({
  query,
  path,
  logger,
  now,
}: {
  query: Query;
  path: string | undefined;
  logger: Logger;
  now: () => Date;
}): Promise<EndedTenants> {
  const list = path === undefined ? null : await openDestroyedList({ path });
  if (list !== null) {
    const returned = (await applyDestroyed({ query, list }, now())) + (await denyListed(query, list, now()));
    if (returned > 0)
      logger.warn({ count: returned }, 'what was destroyed had come back with a restore; it is gone or denied again');
  }
  let held = await readEnded(query);
  const reading = startRounds([{ name: 'read ended tenants', run: async () => void (held = await readEnded(query)) }], {
    logger,
    everySeconds: EVERY_SECONDS,
  });
  return {
    has: (tenant) => held.has(tenant),
    over: (revocations) => ({
      stateOf: (principal) => (held.has(principal.tenant) ? ('revoked' as const) : revocations.stateOf(principal)),
    }),
    list,
    follow: (part) => followDestructions({ ...part, list, logger, now }),
    close: reading.close,
  };
}
