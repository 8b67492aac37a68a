import { type Transaction } from 'kysely';
import { z } from 'zod';
import { route } from '@postern/http';
import { type Issuer } from '@postern/issuer';
import { type UseOnce } from '@postern/oidc';
import { Secret } from '@postern/runtime';
import { email } from '../accounts/email.ts';
import { attemptLogin, type LogIn, noteFailure, settleLogin } from '../accounts/log-in.ts';
import { loginBinding } from '../accounts/login-binding.ts';
import { mintLoginToken } from '../accounts/login-token.ts';
import { type Schema } from '../db/schema.ts';
import { problems } from '../problems.ts';
import { LONGEST_PASSWORD } from './fields.ts';

export type LogInDeps = LogIn & {
  issuer: Pick<Issuer, 'mint'>;
  /** The issuer of this service's own accounts. */
  issuerUrl: string;
  /** Single use of DPoP proofs (R16). */
  useOnce: UseOnce;
};

const REFUSED = 'login_refused';
/** The audience of its tokens, and their client where no workload stands between it and the person. */
const SELF = 'key-proxy';

/** One refusal for an unknown address and for a wrong password, as a problem document (RFC 9457). */
const refusal = (request: string) => {
  const { status, title } = problems[REFUSED];
  const body = { type: `urn:postern:problem:${REFUSED}`, title, status, code: REFUSED, request } as const;
  return { status, headers: { 'content-type': 'application/problem+json' }, body };
};

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
    body: z.strictObject({ email, password: z.string().min(1).max(LONGEST_PASSWORD) }),
    answers: {
      200: z.strictObject({
        access_token: z.string(),
        token_type: z.enum(['Bearer', 'DPoP']),
        expires_in: z.int().positive(),
        scope: z.string(),
      }),
      401: z.strictObject({
        type: z.string(),
        title: z.string(),
        status: z.literal(401),
        code: z.literal(REFUSED),
        request: z.string(),
      }),
    },
    problems: ['binding_required', 'login_locked'],
    async handle({ body, request, workload }, audit) {
      const binding = await loginBinding(deps, request);
      const outcome = await attemptLogin(deps, { email: body.email, password: new Secret(body.password) });
      const inTransaction = <T>(work: (tx: Transaction<Schema>) => Promise<T>) => deps.db.transaction().execute(work);

      if (!outcome.account) {
        const { remaining } = outcome;
        return inTransaction(async (tx) => {
          const { tenant } = await noteFailure(tx, { email: body.email, issuer: deps.issuerUrl, at: deps.now() });
          const details = { method: 'password', remaining };
          const what = { action: 'login.failed', outcome: 'refused', reason: REFUSED, tenant, details } as const;
          return audit.within(tx, what, refusal(request.id));
        });
      }

      const { account } = outcome;
      const minted = await mintLoginToken({ ...deps, audience: SELF }, { account, client: workload ?? SELF, binding });
      return inTransaction(async (tx) => {
        await settleLogin(tx, account, deps.issuerUrl, deps.now());
        const person = { issuer: deps.issuerUrl, sub: account.id };
        return audit.within(
          tx,
          {
            tenant: account.tenant,
            actor: { person, ...(workload === null ? {} : { workload }) },
            resource: { type: 'account', id: account.id },
            details: { method: 'password', tokenId: minted.tokenId, expiresAt: minted.expiresAt.toISOString() },
          },
          {
            status: 200,
            body: {
              access_token: minted.token,
              token_type: binding.kind === 'dpop' ? 'DPoP' : 'Bearer',
              expires_in: minted.lifetimeSeconds,
              scope: minted.scopes.join(' '),
            },
          },
        );
      });
    },
  });
