import { type Kysely, sql, type Transaction } from 'kysely';
import { type Profile } from '@postern/profile';
import { type Now, type Secret } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { type Account } from './account.ts';
import { authenticate, type Known } from './authenticate.ts';
import { type Factors, factorState, type FittingCode, fittingCode } from './factor.ts';
import { clearFailures, countAttempt, uncountAttempt } from './lockout.ts';
import { bcryptCostOf, type Passwords } from './password.ts';

export type LogIn = Factors & { db: Kysely<Schema>; passwords: Passwords; profile: Profile; now: Now };

export type Attempt =
  | { outcome: 'known'; known: Known; code: FittingCode | null; remaining: number }
  | { outcome: 'refused'; remaining: number }
  /** The password is right, and the account has a factor of which no code came. */
  | { outcome: 'factor_required'; account: Account };

/**
 * One attempt to log in. It counts as a failure until the password, and the code where the account has a second factor,
 * have proven right; and costs the same work whether there is such an account or not.
 * @throws Problem `login_locked`
 */
export async function attemptLogin(
  deps: LogIn,
  { email, password, otp }: { email: string; password: Secret; otp?: string | undefined },
): Promise<Attempt> {
  const remaining = await countAttempt(deps, email);
  const known = await authenticate(deps, { email, password });
  if (!known) return { outcome: 'refused', remaining };
  const hasFactor = (await factorState(deps.db, known.account.id)) === 'confirmed';
  if (!hasFactor) return { outcome: 'known', known, code: null, remaining };
  if (otp === undefined) {
    await uncountAttempt(deps.db, email);
    return { outcome: 'factor_required', account: known.account };
  }
  const code = await fittingCode(deps, known.account, otp);
  return code ? { outcome: 'known', known, code, remaining } : { outcome: 'refused', remaining };
}

/** What a success changes, in the transaction of its event: the count, and a hash that would be made otherwise today. */
export async function settleLogin(
  tx: Transaction<Schema>,
  { known: { account, passwordHash }, rehashed }: { known: Known; rehashed: string | null },
): Promise<void> {
  await clearFailures(tx, account.email);
  if (rehashed !== null) {
    await tx
      .updateTable('accounts')
      .set({ password_hash: rehashed, bcrypt_cost: bcryptCostOf(rehashed) })
      .where('id', '=', account.id)
      .where('password_hash', '=', passwordHash)
      .execute();
  }
}

/** Whose account an address is, for the event of a failure. An unknown address costs the same statement. */
export async function accountAt(
  db: Kysely<Schema>,
  email: string,
): Promise<{ tenant: string; id: string } | { tenant: null; id: null }> {
  const { rows } = await sql<{ tenant: string; id: string } | { tenant: null; id: null }>`
    select accounts.tenant, accounts.id
    from (select ${email}::text as email) asked left join accounts on accounts.email = asked.email`.execute(db);
  return rows[0] ?? { tenant: null, id: null };
}
