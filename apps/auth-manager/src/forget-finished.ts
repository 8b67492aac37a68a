import { forgetExpired, queryIn } from '@postern/postgres';
import type { Kysely } from 'kysely';
import type { Now } from '@postern/runtime';
import type { Schema } from './db/schema.ts';

const KEPT_DAYS = 7;
const DAY_MS = 24 * 60 * 60 * 1000;

/** One round over what is no longer needed: single-use values past their time, old consents, settled refreshes. */
export async function forgetFinished({ db, now }: { db: Kysely<Schema>; now: Now }): Promise<void> {
  const before = new Date(now().getTime() - KEPT_DAYS * DAY_MS);
  await forgetExpired(queryIn(db), now());
  await db.deleteFrom('provider_tokens').where('expires_at', '<', now()).execute();
  await db.deleteFrom('consents').where('expires_at', '<', before).execute();
  await db.deleteFrom('revocation_plans').where('expires_at', '<', before).execute();
  await db.deleteFrom('provider_keys').where('retired_at', '<', before).execute();
  await db.deleteFrom('refresh_attempts').where('finished_at', '<', before).execute();
}
