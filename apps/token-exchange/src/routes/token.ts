import { route } from '@postern/http';
import type { TokenVerifier } from '@postern/oidc';
import { problem } from '@postern/runtime';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { exchangedEvent, refusedEvent, type Attempt } from '../exchanges/exchange-event.ts';
import { exchangeToken, type Caller, type ExchangeToken } from '../exchanges/exchange-token.ts';
import { recordExchange } from '../exchanges/record-exchange.ts';
import { ExchangeRefused, refusalOf } from '../exchanges/refusal.ts';
import { ACCESS_TOKEN, askedFor, exchangeForm, TOKEN_EXCHANGE, type ExchangeForm } from './exchange-form.ts';

export type TokenDeps = ExchangeToken & { db: Kysely<Schema>; verifier: Pick<TokenVerifier, 'verifySubject'> };

const minted = z.strictObject({
  access_token: z.string(),
  issued_token_type: z.literal(ACCESS_TOKEN),
  token_type: z.literal('Bearer'),
  expires_in: z.int().positive(),
  scope: z.string(),
});
const refused = z.strictObject({ error: z.string(), error_description: z.string() });

/**
 * RFC 8693 on the api listener: the caller is the workload of the client certificate (`tls_client_auth`), and the minted
 * token is bound to that certificate. The exchange, its event and the answer are one transaction; a refusal is recorded
 * with the rule that decided before it is answered.
 */
export const token = (deps: TokenDeps) =>
  route({
    method: 'POST',
    path: '/token',
    listener: 'api',
    summary: 'Exchange a token for a narrower one (RFC 8693)',
    access: 'workload',
    workloads: deps.policy.workloads.map(({ name }) => name),
    audit: 'token.exchanged',
    consumes: 'form',
    errors: 'oauth',
    bodyLimit: 32_768,
    body: exchangeForm,
    answers: { 200: minted, 400: refused, 403: refused },
    problems: ['unsupported_grant_type', 'keys_unavailable', 'revocation_unavailable'],
    async handle({ workload, body, request }, audit) {
      if (body.grant_type !== TOKEN_EXCHANGE) throw problem('unsupported_grant_type');
      const attempt: Attempt = { caller: { workload, thumbprint: request.certificateThumbprint ?? '' } };
      try {
        const asked = (attempt.asked = askedFor(body));
        assertClient(deps, body, workload);
        const subject = (attempt.subject = await verifiedSubject(deps, body, attempt.caller));
        const exchange = await exchangeToken(deps, subject, asked, attempt.caller);
        const recorded = deps.db.transaction().execute(async (tx) => {
          await recordExchange(tx, subject, asked, attempt.caller, exchange, deps.now());
          return audit.within(tx, exchangedEvent(deps.policy, attempt, exchange), {
            status: 200,
            body: {
              access_token: exchange.token,
              issued_token_type: ACCESS_TOKEN,
              token_type: 'Bearer',
              expires_in: exchange.expiresInSeconds,
              scope: exchange.scopes.join(' '),
            },
          });
        });
        return await recorded.catch((cause: unknown) => {
          throw problem('audit_unavailable', { retryAfterSeconds: 1, cause });
        });
      } catch (error) {
        const said = refusalOf(error);
        if (!said) throw error;
        return audit.released(refusedEvent(deps.policy, attempt, said), {
          status: said.status,
          body: { error: said.error, error_description: said.description },
        });
      }
    },
  });

/** RFC 8705 section 2: with `tls_client_auth` a `client_id` may stand in the form; it must be the certificate's. */
function assertClient({ policy }: TokenDeps, { client_id: named }: ExchangeForm, workload: string): void {
  if (named === undefined || named === workload) return;
  const client = policy.workloads.find(({ name }) => name === workload)?.client;
  if (named !== client) throw new ExchangeRefused('another_client');
}

const verifiedSubject = ({ verifier }: TokenDeps, { subject_token: subject }: ExchangeForm, caller: Caller) =>
  verifier.verifySubject(subject, { workload: caller.workload, certificateThumbprint: caller.thumbprint });
