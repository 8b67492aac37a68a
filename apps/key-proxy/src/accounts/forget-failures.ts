import { type Kysely } from 'kysely';
import { type Profile } from '@postern/profile';
import { type Schema } from '../db/schema.ts';

/** Forgets the failures that count no more, so that guesses on addresses without an account do not pile up. */
export async function forgetFailures(
  { db, profile }: { db: Kysely<Schema>; profile: Profile },
  now: Date,
): Promise<void> {
  const before = new Date(now.getTime() - profile.lockoutMinutes * 60_000);
  await db.deleteFrom('login_failures').where('last_at', '<', before).execute();
}
