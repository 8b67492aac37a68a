import { type Transaction } from 'kysely';
import { z } from 'zod';
import { route } from '@postern/http';
import { problem, Secret } from '@postern/runtime';
import { type AccountPolicy } from '../accounts/account-policy.ts';
import { email } from '../accounts/email.ts';
import { otp, spendCode } from '../accounts/factor.ts';
import { accountAt, attemptLogin, type LogIn, settleLogin } from '../accounts/log-in.ts';
import { lockedUntil } from '../accounts/lockout.ts';
import { type LoginBinding, loginBinding } from '../accounts/login-binding.ts';
import { mintLoginToken, type MintLoginToken } from '../accounts/login-token.ts';
import { holderOf, rememberToken, startSession } from '../accounts/sessions.ts';
import { type Schema } from '../db/schema.ts';
import { LONGEST_PASSWORD } from './fields.ts';
import { refusal, refusalBody, tokenAnswer, tokenBody } from './token-answer.ts';

export type LogInDeps = LogIn & MintLoginToken & LoginBinding & { policy: AccountPolicy };

/** Seed route: a password for a token, which is bound to the caller's certificate or DPoP key (R17). */
export const logIn = (deps: LogInDeps) =>
  route({
    method: 'POST',
    path: '/login',
    listener: ['api', 'public'],
    access: 'anyone',
    tier: 'auth',
    audit: 'login.succeeded',
    summary: 'Logs an account in; the token is bound to the caller’s certificate or DPoP key',
    description:
      'One answer whatever is wrong, in the same time. On the public listener a DPoP proof is needed outside the low profile.',
    body: z.strictObject({
      email,
      password: z.string().min(1).max(LONGEST_PASSWORD).describe('of the account'),
      otp: otp.optional(),
    }),
    answers: { 200: tokenBody, 401: refusalBody },
    problems: ['accounts_off', 'binding_required', 'login_locked', 'login_refused', 'factor_required'],
    async handle({ body, request, workload }, audit) {
      if (!deps.policy.accounts) throw problem('accounts_off');
      const binding = await loginBinding(deps, request);
      const attempt = await attemptLogin(deps, { ...body, password: new Secret(body.password) });
      const method = body.otp === undefined ? 'password' : 'password+code';
      const inTransaction = <T>(work: (tx: Transaction<Schema>) => Promise<T>) => deps.db.transaction().execute(work);

      if (attempt.outcome === 'factor_required') {
        const what = { action: 'login.failed', outcome: 'refused', reason: 'factor_required' } as const;
        const { tenant, id } = attempt.account;
        const resource = { type: 'account', id };
        return audit.released(
          { ...what, tenant, resource, details: { method } },
          refusal('factor_required', request.id),
        );
      }

      const refused = (remaining: number) =>
        inTransaction(async (tx) => {
          const { tenant, id } = await accountAt(tx, body.email);
          // Whose password was tried; who tried it is not known.
          const resource = id === null ? {} : { resource: { type: 'account', id } };
          const details = { method, remaining };
          const what = {
            action: 'login.failed',
            outcome: 'refused',
            reason: 'login_refused',
            tenant,
            ...resource,
            details,
          } as const;
          if (remaining === 0) {
            const details = { cause: 'login_failures', until: lockedUntil(deps).toISOString() };
            const locked = { action: 'account.locked', tenant, ...resource, details } as const;
            await audit.itemWithin(tx, locked);
          }
          return audit.within(tx, what, refusal('login_refused', request.id));
        });
      if (attempt.outcome === 'refused') return refused(attempt.remaining);

      const { known, code } = attempt;
      const { account } = known;
      const isOutdated = deps.passwords.isOutdated(known.passwordHash);
      const rehashed = isOutdated ? await deps.passwords.hash(new Secret(body.password)) : null;
      const done = await inTransaction(async (tx) => {
        // Of two logins with one code, one is refused (R16).
        if (code && !(await spendCode(tx, account.id, code))) return null;
        const at = deps.now();
        await settleLogin(tx, { known, rehashed });
        const holder = holderOf(binding, workload);
        const session = await startSession(
          tx,
          { policy: deps.policy, now: at },
          { account: account.id, holder, factor: code !== null },
        );
        const minted = await mintLoginToken(deps, { account, session, workload, binding });
        await rememberToken(tx, session.id, minted, at);
        const person = { issuer: deps.issuerUrl, sub: account.id };
        return audit.within(
          tx,
          {
            tenant: account.tenant,
            actor: { person, ...(workload === null ? {} : { workload }) },
            resource: { type: 'account', id: account.id },
            details: { method, tokenId: minted.tokenId, expiresAt: minted.expiresAt.toISOString() },
          },
          tokenAnswer(minted, session, binding),
        );
      });
      return done ?? refused(attempt.remaining);
    },
  });
