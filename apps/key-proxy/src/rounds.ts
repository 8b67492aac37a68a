import { type Kysely } from 'kysely';
import { forgetExpired, type Query } from '@postern/postgres';
import { type Profile } from '@postern/profile';
import { Gauge, type Now, type Registry, type Round } from '@postern/runtime';
import { forgetFailures } from './accounts/forget-failures.ts';
import { forgetSessions } from './accounts/forget-sessions.ts';
import { type Schema } from './db/schema.ts';
import { countAbandonedWrites } from './secrets/abandoned-writes.ts';
import { remindOwners } from './secrets/remind-owners.ts';
import { settleRound, type SettleRound } from './secrets/writes/settle-round.ts';

export type RoundsDeps = {
  db: Kysely<Schema>;
  query: Query;
  profile: Profile;
  registry: Registry;
  now: Now;
  settling: SettleRound;
};

/** Longer than any write may take: an attempt without an outcome by then has none to come. */
const ABANDONED_AFTER_MS = 5 * 60_000;

/** What the worker half does from time to time. */
export function rounds({ db, query, profile, registry, now, settling }: RoundsDeps): Round[] {
  const settle = settleRound(settling);
  const remind = remindOwners(settling);
  const abandoned = new Gauge({
    name: 'key_proxy_abandoned_writes',
    help: 'Writes at a provider that began and have no outcome',
    registers: [registry],
  });
  return [
    {
      name: 'report_abandoned_writes',
      run: async () => abandoned.set(await countAbandonedWrites(db, new Date(now().getTime() - ABANDONED_AFTER_MS))),
    },
    { name: 'forget_sessions', run: () => forgetSessions(db, now()) },
    { name: 'settle_writes', run: settle },
    { name: 'remind_owners', run: remind },
    { name: 'forget_failures', run: () => forgetFailures({ db, profile }, now()) },
    { name: 'forget_used', run: async () => void (await forgetExpired(query, now())) },
  ];
}
