import type { RevocationSequence } from '@postern/issuer';
import { openPostgres } from '@postern/postgres';
import { SERVICE } from '../app.ts';
import type { Schema } from '../db/schema.ts';
import type { Setting, State } from '../open-state.ts';
import type { ProviderOf } from '../provider/provider-calls.ts';
import { openRefreshing } from './confirm-grant.ts';
import { openGrantLocks } from './grant-lock.ts';
import { recordLoss, recordRefresh } from './record-refresh.ts';
import { noteRestore } from './restores.ts';

/** Calls under way at all providers, and at any one of them: a hanging one leaves the others their share (R20). */
const REFRESHES = { atOnce: 12, perProvider: 4 };

/** Refreshes of grants and the locks that they are under, on connections of their own: each is held for as long as a provider takes. */
export async function openRefreshes(
  { config, closing, profile, logger, now }: Setting,
  { tls, postgres: { db }, audit, vault }: State,
  { sequence, providerOf }: { sequence: RevocationSequence; providerOf: ProviderOf },
) {
  const ofRefreshes = { poolSize: REFRESHES.atOnce, applicationName: `${SERVICE}-refresh` };
  const pool = closing.after(await openPostgres<Schema>({ ...config.postgres, ...ofRefreshes, tls }));
  const lock = openGrantLocks(pool.db, REFRESHES);
  await noteRestore(db, now);
  const refreshing = openRefreshing({
    db,
    audit,
    logger,
    sequence,
    lock,
    vault,
    providerOf,
    now,
    recordRefresh: recordRefresh({ audit, now }),
    recordLoss: recordLoss({ audit, now }),
    confirmedWithinSeconds: profile.accessTokenMinutes * 60,
  });
  closing.add(refreshing.settled);
  return { lock, refreshing };
}
