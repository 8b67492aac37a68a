import { type Action } from '@postern/audit';
import { type Answers, type RouteAudit } from '@postern/http';
import { type Principal } from '@postern/oidc';
import { type Profile } from '@postern/profile';
import { type Now, Problem } from '@postern/runtime';
import { type Kysely } from 'kysely';
import { emailOf } from '../../accounts/account.ts';
import { countAttempt, lockedUntil, uncountAttempt } from '../../accounts/lockout.ts';
import { type Schema } from '../../db/schema.ts';

export type Proving = { db: Kysely<Schema>; profile: Profile; issuerUrl: string; now: Now };

/** What a wrong password or code is answered with. */
const WRONG = new Set(['password_refused', 'factor_refused']);

/**
 * What an account proves beyond its token, by its password or a code: a wrong one counts as it does at a login, so that whoever
 * holds a session of another can guess no longer than anyone.
 * @throws Problem `login_locked`, `account_required`
 */
export async function proving<T>(
  deps: Proving,
  principal: Pick<Principal, 'person'>,
  audit: Pick<RouteAudit<Action, Answers>, 'item'>,
  work: () => Promise<T>,
): Promise<T> {
  const { id, email } = await emailOf(deps.db, principal, deps.issuerUrl);
  const remaining = await countAttempt(deps, email);
  try {
    const done = await work();
    await uncountAttempt(deps.db, email);
    return done;
  } catch (error) {
    if (!(error instanceof Problem) || !WRONG.has(error.code)) await uncountAttempt(deps.db, email);
    else if (remaining === 0) {
      const details = { cause: 'login_failures', until: lockedUntil(deps).toISOString() };
      await audit.item({ action: 'account.locked', resource: { type: 'account', id }, details });
    }
    throw error;
  }
}
