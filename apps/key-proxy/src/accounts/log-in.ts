import { type Kysely, sql, type Transaction } from 'kysely';
import { type Profile } from '@postern/profile';
import { type Now, type Secret } from '@postern/runtime';
import { recordActivity } from '../activity/record-activity.ts';
import { type Schema } from '../db/schema.ts';
import { authenticate } from './authenticate.ts';
import { clearFailures, countAttempt } from './lockout.ts';
import { type Passwords } from './password.ts';
import { type Account } from './sign-up.ts';

export type LogIn = { db: Kysely<Schema>; passwords: Passwords; profile: Profile; now: Now };

export type Attempt = { account: Account } | { account: null; remaining: number };

/**
 * One attempt to log in. It counts as a failure until the password has proven right, and costs the same work whether
 * there is such an account or not.
 * @throws Problem `login_locked`
 */
export async function attemptLogin(deps: LogIn, credentials: { email: string; password: Secret }): Promise<Attempt> {
  const remaining = await countAttempt(deps, credentials.email);
  const account = await authenticate(deps, credentials);
  return account ? { account } : { account, remaining };
}

/** What a success changes, in the transaction of its event. */
export async function settleLogin(tx: Transaction<Schema>, account: Account, issuer: string, at: Date): Promise<void> {
  await clearFailures(tx, account.email);
  const person = { tenant: account.tenant, issuer, sub: account.id };
  await recordActivity(tx, { person, action: 'login', status: 'success', at });
}

/** The tenant under which failures on unknown addresses stand: no company's. */
const NOBODYS = 'kp_none';

/**
 * Writes a failure into the activity of the account's company. An unknown address costs the same statement, and stands
 * under no company.
 */
export async function noteFailure(
  tx: Transaction<Schema>,
  { email, issuer, at }: { email: string; issuer: string; at: Date },
): Promise<{ tenant: string | null }> {
  const { rows } = await sql<{ tenant: string }>`
    insert into activity (tenant, person_issuer, person_sub, action, status, at)
    select coalesce(accounts.tenant, ${NOBODYS}), ${issuer}, coalesce(accounts.id::text, ''), 'login', 'refused', ${at}
    from (select ${email}::text as email) asked left join accounts on accounts.email = asked.email
    returning tenant`.execute(tx);
  const tenant = rows[0]?.tenant ?? NOBODYS;
  return { tenant: tenant === NOBODYS ? null : tenant };
}
