import { z } from 'zod';
import { noContent, route } from '@postern/http';
import { type RevocationSequence } from '@postern/issuer';
import { Secret } from '@postern/runtime';
import { lockedAccount } from '../../accounts/account.ts';
import { type AccountPolicy } from '../../accounts/account-policy.ts';
import { type BreachedPasswords } from '../../accounts/breached-passwords.ts';
import { changePassword } from '../../accounts/change-password.ts';
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
    problems: ['account_required', 'password_refused', 'login_locked'],
    async handle({ principal, body }, audit) {
      const change = () =>
        deps.db.transaction().execute(async (tx) => {
          const account = await lockedAccount(tx, principal, deps.issuerUrl);
          const passwords = { present: new Secret(body.present_password), next: new Secret(body.new_password) };
          await changePassword(tx, deps, account, { ...passwords, now: deps.now() });
          await endSessionsOf(tx, deps, { account: account.id, except: sessionOf(principal) });
          const what = { resource: { type: 'account', id: account.id }, details: { method: 'password' } };
          return audit.within(tx, what, { status: 204 });
        });
      return proving(deps, principal, audit, change);
    },
  });
