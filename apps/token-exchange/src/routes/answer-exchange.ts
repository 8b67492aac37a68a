import type { RouteAudit, Released } from '@postern/http';
import type { RevocationSequence } from '@postern/issuer';
import type { Presented, TokenVerifier } from '@postern/oidc';
import { problem } from '@postern/runtime';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { exchangedEvent, refusedEvent, type Attempt } from '../exchanges/exchange-event.ts';
import { exchangeToken, type Caller, type ExchangeToken } from '../exchanges/exchange-token.ts';
import { recordExchange } from '../exchanges/record-exchange.ts';
import { ExchangeRefused, refusalOf } from '../exchanges/refusal.ts';
import { ACCESS_TOKEN, askedFor, type ExchangeForm } from './exchange-form.ts';

export type AnswerExchange = ExchangeToken & {
  db: Kysely<Schema>;
  sequence: RevocationSequence;
  subjects: Pick<TokenVerifier, 'verifySubject'>;
};

const minted = z.strictObject({
  access_token: z.string(),
  issued_token_type: z.literal(ACCESS_TOKEN),
  token_type: z.enum(['Bearer', 'DPoP']),
  expires_in: z.int().positive(),
  scope: z.string(),
});
const refused = z.strictObject({ error: z.string(), error_description: z.string() });

/** RFC 8693 section 2.2: the answers of the token endpoint on each listener. */
export const exchangeAnswers = { 200: minted, 400: refused, 403: refused };

/** An authenticated request: who asks, and what the connection shows of the subject token's holder. */
export type Authenticated = { caller: Caller; presented: Presented };

/**
 * Exchanges and answers. The exchange's row, its event and the answer are one transaction; a refusal is recorded with the
 * rule that decided before it is answered.
 * @param authenticate says who asks; may refuse the rest of the request
 */
export async function answerExchange(
  deps: AnswerExchange,
  form: ExchangeForm,
  caller: Caller,
  authenticate: () => Authenticated | Promise<Authenticated>,
  audit: RouteAudit<'token.exchanged', typeof exchangeAnswers>,
): Promise<Released> {
  const attempt: Attempt = { caller };
  try {
    const asked = (attempt.asked = askedFor(form));
    const known = await authenticate();
    const subject = (attempt.subject = await deps.subjects.verifySubject(form.subject_token, known.presented));
    const exchange = await exchangeToken(deps, subject, asked, known.caller);
    const recorded = deps.db.transaction().execute(async (tx) => {
      await recordExchange(tx, deps.sequence, subject, asked, known.caller, exchange, deps.now());
      return audit.within(tx, exchangedEvent(deps.policy, attempt, exchange), {
        status: 200,
        body: {
          access_token: exchange.token,
          issued_token_type: ACCESS_TOKEN,
          token_type: known.caller.binding.kind === 'dpop' ? 'DPoP' : 'Bearer',
          expires_in: exchange.expiresInSeconds,
          scope: exchange.scopes.join(' '),
        },
      });
    });
    return await recorded.catch((cause: unknown) => {
      if (cause instanceof ExchangeRefused) throw cause;
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
}
