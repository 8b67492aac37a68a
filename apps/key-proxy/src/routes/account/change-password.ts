import { z } from 'zod';
import { noContent, route } from '@postern/http';
import { type RevocationSequence } from '@postern/issuer';
import { problem, Secret } from '@postern/runtime';
import { livingAccount } from '../../accounts/account.ts';
import { type AccountPolicy } from '../../accounts/account-policy.ts';
import { type BreachedPasswords } from '../../accounts/breached-passwords.ts';
import { applyChange, checkedChange } from '../../accounts/change-password.ts';
import { type Passwords } from '../../accounts/password.ts';
import { OWN_ACCOUNT } from '../../accounts/role-scopes.ts';
import { endSessionsOf, sessionOf } from '../../accounts/sessions.ts';
import { LONGEST_PASSWORD } from '../fields.ts';
import { type Proving, proving } from './proving.ts';

export type ChangePasswordDeps = Proving & {
  passwords: Passwords;
  breached: BreachedPasswords;
  policy: AccountPolicy;
  sequence: Pick<RevocationSequence, 'revoke'>;
};

const MOST_TRIES = 3;

/** Another password for one's own account; every other session of it ends. */
export const changePasswordRoute = (deps: ChangePasswordDeps) =>
  route({
    method: 'POST',
    path: '/v1/account/password',
    listener: ['api', 'public'],
    scope: OWN_ACCOUNT,
    tier: 'auth',
    audit: 'password.changed',
    summary: 'Another password for one’s own account; its other sessions end',
    body: z.strictObject({
      present_password: z.string().min(1).max(LONGEST_PASSWORD).describe('the one that it has'),
      new_password: z
        .string()
        .min(deps.policy.passwordMinLength)
        .max(LONGEST_PASSWORD)
        .describe('none that is easily guessed'),
    }),
    answers: { 204: noContent },
    problems: ['account_required', 'password_refused', 'login_locked', 'read_stale'],
    async handle({ principal, body }, audit) {
      const passwords = { present: new Secret(body.present_password), next: new Secret(body.new_password) };
      const change = async () => {
        for (let tries = 0; tries < MOST_TRIES; tries += 1) {
          const account = await livingAccount(deps.db, principal, deps.issuerUrl);
          const checked = await checkedChange(deps, account, passwords);
          const done = await deps.db.transaction().execute(async (tx) => {
            // Changed, or hashed anew by a login, while it was looked at: looked at again.
            if (!(await applyChange(tx, checked, deps.now()))) return null;
            await endSessionsOf(tx, deps, { account: account.id, except: sessionOf(principal) });
            const what = { resource: { type: 'account', id: account.id }, details: { method: 'password' } };
            return audit.within(tx, what, { status: 204 });
          });
          if (done) return done;
        }
        throw problem('read_stale', { retryAfterSeconds: 1 });
      };
      return proving(deps, principal, audit, change);
    },
  });
