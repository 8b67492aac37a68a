import { type Kysely } from 'kysely';
import { z } from 'zod';
import { noContent, route } from '@postern/http';
import { type RevocationSequence } from '@postern/issuer';
import { problem } from '@postern/runtime';
import { accountIdOf } from '../../accounts/account.ts';
import { type LoginBinding, loginBinding } from '../../accounts/login-binding.ts';
import { mintLoginToken, type MintLoginToken } from '../../accounts/login-token.ts';
import { OWN_ACCOUNT } from '../../accounts/role-scopes.ts';
import {
  endSessions,
  endSessionsOf,
  holderOf,
  refreshSession,
  rememberToken,
  sessionOf,
} from '../../accounts/sessions.ts';
import { type Schema } from '../../db/schema.ts';
import { refusal, refusalBody, tokenAnswer, tokenBody } from '../token-answer.ts';

export type SessionDeps = MintLoginToken &
  LoginBinding & { db: Kysely<Schema>; sequence: Pick<RevocationSequence, 'revoke'> };

const both = ['api', 'public'] as const;

/** The next access and refresh token of a session. What comes a second time ends it. */
export const refreshRoute = (deps: SessionDeps) =>
  route({
    method: 'POST',
    path: '/v1/session/refresh',
    listener: both,
    access: 'anyone',
    tier: 'auth',
    audit: 'session.refreshed',
    summary: 'The next tokens of a session',
    body: z.strictObject({ refresh_token: z.string().min(1).max(128).describe('the newest of the session') }),
    answers: { 200: tokenBody, 401: refusalBody },
    problems: ['accounts_off', 'binding_required', 'refresh_refused'],
    async handle({ body, request, workload }, audit) {
      if (!deps.policy.accounts) throw problem('accounts_off');
      const binding = await loginBinding(deps, request);
      const asked = { refreshToken: body.refresh_token, holder: holderOf(binding, workload) };
      return deps.db.transaction().execute(async (tx) => {
        const refreshed = await refreshSession(tx, { policy: deps.policy, now: deps.now() }, asked);
        const actor = (sub: string) => ({
          person: { issuer: deps.issuerUrl, sub },
          ...(workload === null ? {} : { workload }),
        });
        if (refreshed.account) {
          const { account, session } = refreshed;
          const minted = await mintLoginToken(deps, { account, session, workload, binding });
          await rememberToken(tx, session.id, minted, deps.now());
          const details = { tokenId: minted.tokenId, expiresAt: minted.expiresAt.toISOString() };
          const what = {
            tenant: account.tenant,
            actor: actor(account.id),
            resource: { type: 'session', id: session.id },
          };
          return audit.within(tx, { ...what, details }, tokenAnswer(minted, session, binding));
        }
        const { ended } = refreshed;
        if (ended) {
          await endSessions(tx, deps, [ended.session]);
          const { account, session, cause } = ended;
          const what = { tenant: account.tenant, actor: actor(account.id), resource: { type: 'session', id: session } };
          await audit.itemWithin(tx, { ...what, action: 'session.ended', details: { cause } });
        }
        return audit.within(
          tx,
          { outcome: 'refused', reason: 'refresh_refused', tenant: ended?.account.tenant ?? null, details: {} },
          refusal('refresh_refused', request.id),
        );
      });
    },
  });

/** Ends the session of the token, and every token of it (R14). */
export const logOut = (deps: SessionDeps) =>
  route({
    method: 'POST',
    path: '/v1/session/logout',
    listener: both,
    scope: OWN_ACCOUNT,
    tier: 'standard',
    audit: 'session.ended',
    summary: 'Ends the session of the token',
    answers: { 204: noContent },
    problems: ['account_required'],
    async handle({ principal }, audit) {
      const account = accountIdOf(principal, deps.issuerUrl);
      const only = sessionOf(principal);
      if (only === undefined) throw problem('account_required');
      return deps.db.transaction().execute(async (tx) => {
        await endSessionsOf(tx, deps, { account, only });
        const what = { resource: { type: 'session', id: only }, details: { cause: 'logout' } };
        return audit.within(tx, what, { status: 204 });
      });
    },
  });
