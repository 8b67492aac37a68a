import type { RouteAudit, Released } from '@postern/http';
import type { RevocationSequence } from '@postern/issuer';
import type { Presented, TokenVerifier } from '@postern/oidc';
import { problem } from '@postern/runtime';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { exchangedEvent, refusedEvent, type Attempt } from '../exchanges/exchange-event.ts';
import {
  exchangeToken,
  type Asked,
  type Caller,
  type Exchange,
  type ExchangeToken,
  type Subject,
} from '../exchanges/exchange-token.ts';
import { approvalOf, approvalTimes, awaitsApproval, type ApprovalOf, type Approved } from '../approvals/approval-of.ts';
import { approvalRequest } from '../approvals/approval-request.ts';
import { consumeApproval } from '../approvals/seek-approval.ts';
import type { PolicyStore, StoredPolicy } from '../policy/policy-store.ts';
import { recordExchange } from '../exchanges/record-exchange.ts';
import { ExchangeRefused, refusalOf } from '../exchanges/refusal.ts';
import { ACCESS_TOKEN, askedFor, type ExchangeForm } from './exchange-form.ts';

export type AnswerExchange = Omit<ExchangeToken, 'policy'> &
  ApprovalOf & {
    db: Kysely<Schema>;
    sequence: RevocationSequence;
    policies: PolicyStore;
    subjects: Pick<TokenVerifier, 'verifySubject'>;
  };

const minted = z.strictObject({
  access_token: z.string(),
  issued_token_type: z.literal(ACCESS_TOKEN),
  token_type: z.enum(['Bearer', 'DPoP']),
  expires_in: z.int().positive(),
  scope: z.string(),
});
const refused = z.strictObject({
  error: z.string(),
  error_description: z.string(),
  /** With `authorization_pending` and `slow_down`: what waits, and how many seconds between two polls. */
  approval_id: z.string().optional(),
  interval: z.int().positive().optional(),
  expires_in: z.int().nonnegative().optional(),
});

/** RFC 8693 section 2.2: the answers of the token endpoint on each listener. */
export const exchangeAnswers = { 200: minted, 400: refused, 403: refused };

type Audit = RouteAudit<'token.exchanged', typeof exchangeAnswers>;

/** An authenticated request: who asks, and what the connection shows of the subject token's holder. */
export type Authenticated = { caller: Caller; presented: Presented };

/**
 * Exchanges and answers. The exchange's row, its event and the answer are one transaction, in which the policy that decided
 * is still in force; a refusal is recorded with the rule that decided before it is answered.
 * @param authenticate says who asks; may refuse the rest of the request
 */
export async function answerExchange(
  deps: AnswerExchange,
  form: ExchangeForm,
  caller: Caller,
  authenticate: () => Authenticated | Promise<Authenticated>,
  audit: Audit,
): Promise<Released> {
  const attempt: Attempt = { caller };
  let policy = await deps.policies.current();
  try {
    const asked = (attempt.asked = askedFor(form));
    const known = await authenticate();
    const subject = (attempt.subject = await deps.subjects.verifySubject(form.subject_token, known.presented));
    const mint = async (approved?: Approved) => {
      const allowed = approved ? { ...asked, scopes: approved.scopes, approved: approved.scopes } : asked;
      const exchange = await exchangeToken({ ...deps, policy: policy.document }, subject, allowed, known.caller);
      const decided = { policy, attempt, subject, asked: allowed, caller: known.caller, exchange, approved };
      return commit(deps, decided, audit);
    };
    for (let turn = 0; turn < TURNS; turn++) {
      const { revision } = policy;
      let refusal: ExchangeRefused | undefined;
      try {
        const released = await mint().catch(async (error: unknown) => {
          const request = awaitsApproval(error) && approvalRequest(policy.document, subject, asked, known.caller);
          if (!request) throw error;
          return mint(await approvalOf(deps, policy, request, form.justification));
        });
        if (released) return released;
      } catch (error) {
        if (!(error instanceof ExchangeRefused)) throw error;
        refusal = error;
      }
      // Neither a token nor a refusal is by a policy that is no longer in force.
      policy = await deps.policies.refresh();
      if (refusal && policy.revision === revision) throw refusal;
    }
    throw problem('audit_unavailable', { retryAfterSeconds: 1 });
  } catch (error) {
    const said = refusalOf(error);
    if (!said) throw error;
    return audit.released(refusedEvent(policy.document, attempt, said), {
      status: said.status,
      body: {
        error: said.error,
        error_description: said.description,
        ...(said.approval && {
          approval_id: said.approval.id,
          interval: said.approval.intervalSeconds,
          expires_in: said.approval.expiresInSeconds,
        }),
      },
    });
  }
}

// A policy is not replaced twice while one token is minted.
const TURNS = 3;

type Decided = {
  policy: StoredPolicy;
  attempt: Attempt;
  subject: Subject;
  asked: Asked;
  caller: Caller;
  exchange: Exchange;
  approved: Approved | undefined;
};

/** @returns undefined where another policy is in force by now */
async function commit(deps: AnswerExchange, decided: Decided, audit: Audit): Promise<Released | undefined> {
  const { policy, attempt, subject, asked, caller, exchange, approved } = decided;
  const recorded = deps.db.transaction().execute(async (tx) => {
    if (!(await deps.policies.isNewest(tx, policy))) return undefined;
    if (approved && !(await consumeApproval(tx, approved.id, approvalTimes(policy.document, deps.now()))))
      return undefined;
    await recordExchange(tx, deps.sequence, subject, asked, caller, exchange, deps.now());
    return audit.within(tx, exchangedEvent(policy.document, attempt, exchange), {
      status: 200,
      body: {
        access_token: exchange.token,
        issued_token_type: ACCESS_TOKEN,
        token_type: caller.binding.kind === 'dpop' ? 'DPoP' : 'Bearer',
        expires_in: exchange.expiresInSeconds,
        scope: exchange.scopes.join(' '),
      },
    });
  });
  return recorded.catch((cause: unknown) => {
    if (cause instanceof ExchangeRefused) throw cause;
    throw problem('audit_unavailable', { retryAfterSeconds: 1, cause });
  });
}
