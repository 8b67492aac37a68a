import { type Kysely, sql } from 'kysely';
import { type Profile } from '@postern/profile';
import { problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { emailDigest } from './email.ts';

type Deps = { db: Kysely<Schema>; profile: Profile; now: () => Date };

const MINUTE_MS = 60_000;

/**
 * Counts an attempt as failed before the password is looked at, so that a hundred at the same time do not get past the
 * limit; {@link clearFailures} takes it back. An address is locked for the profile's time after its last failure,
 * whether there is an account or not.
 *
 * @returns how many attempts are left after this one
 * @throws Problem `login_locked` beyond the profile's limit
 */
export async function countAttempt({ db, profile, now }: Deps, email: string): Promise<number> {
  const at = now();
  const forgottenBefore = new Date(at.getTime() - profile.lockoutMinutes * MINUTE_MS);
  const { failures } = await db
    .insertInto('login_failures')
    .values({ email_digest: emailDigest(email), failures: 1, last_at: at })
    .onConflict((conflict) =>
      conflict.column('email_digest').doUpdateSet({
        failures: sql`case when login_failures.last_at < ${forgottenBefore} then 1 else login_failures.failures + 1 end`,
        // Attempts on a locked address do not keep it locked for ever.
        last_at: sql`case when login_failures.failures >= ${profile.lockoutAttempts} and login_failures.last_at >= ${forgottenBefore}
          then login_failures.last_at else excluded.last_at end`,
      }),
    )
    .returning('failures')
    .executeTakeFirstOrThrow();
  if (failures > profile.lockoutAttempts) {
    throw problem('login_locked', { retryAfterSeconds: profile.lockoutMinutes * 60 });
  }
  return profile.lockoutAttempts - failures;
}

/** Until when an address is locked whose last attempt was this one. */
export const lockedUntil = ({ profile, now }: Pick<Deps, 'profile' | 'now'>): Date =>
  new Date(now().getTime() + profile.lockoutMinutes * MINUTE_MS);

/** Starts the count again after a success, in the success's own transaction. */
export async function clearFailures(db: Kysely<Schema>, email: string): Promise<void> {
  await db.deleteFrom('login_failures').where('email_digest', '=', emailDigest(email)).execute();
}

/** Takes one count back, where an attempt was neither a failure nor yet a success. */
export async function uncountAttempt(db: Kysely<Schema>, email: string): Promise<void> {
  await sql`
    with one as (delete from login_failures where email_digest = ${emailDigest(email)} and failures = 1)
    update login_failures set failures = failures - 1
     where email_digest = ${emailDigest(email)} and failures > 1`.execute(db);
}
