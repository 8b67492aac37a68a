import type { AuditEvent } from '@postern/audit';
import { newEvent } from '@postern/audit';
import type { Released } from '@postern/http';
import type { RevocationSequence } from '@postern/issuer';
import { Problem, problem } from '@postern/runtime';
import type { Kysely, Transaction } from 'kysely';
import { approvalTimes, type Approved } from '../approvals/approval-of.ts';
import { consumeApproval } from '../approvals/seek-approval.ts';
import type { Schema } from '../db/schema.ts';
import { openedEvent } from '../emergencies/opened-event.ts';
import { exchangedEvent, type Attempt } from '../exchanges/exchange-event.ts';
import type { Exchange } from '../exchanges/exchange-token.ts';
import type { Asked, Caller } from '../exchanges/plan-exchange.ts';
import type { Subject } from '../exchanges/subject.ts';
import { recordExchange } from '../exchanges/record-exchange.ts';
import { ExchangeRefused } from '../exchanges/refusal.ts';
import type { PolicyStore, StoredPolicy } from '../policy/policy-store.ts';
import type { ExchangeAudit } from './exchange-answers.ts';
import { ACCESS_TOKEN, type ExchangeForm } from './exchange-form.ts';

export type ReleaseMinted = {
  db: Kysely<Schema>;
  sequence: RevocationSequence;
  policies: PolicyStore;
  recordWithin: (tx: Transaction<Schema>, event: AuditEvent) => Promise<void>;
  /** Told of each emergency token that left. */
  emergencyOpened: () => void;
  now: () => Date;
};

/** An exchange that was decided, and by what. */
export type Decided = {
  policy: StoredPolicy;
  attempt: Attempt;
  subject: Subject;
  asked: Asked;
  caller: Caller;
  form: ExchangeForm;
  approved: Approved | undefined;
};

/**
 * Commits the exchange's row, its approval and its event, and lets the token go.
 * @returns undefined where another policy is in force by now
 */
export async function releaseMinted(
  deps: ReleaseMinted,
  decided: Decided,
  exchange: Exchange,
  audit: ExchangeAudit,
): Promise<Released | undefined> {
  const { policy, attempt, form, subject, caller, approved } = decided;
  const emergency = form.emergency === undefined ? undefined : approved;
  const released = await committed(deps, decided, exchange, async (tx) => {
    if (emergency) await deps.recordWithin(tx, openedEvent(subject, caller, emergency, exchange, deps.now()));
    return audit.within(tx, exchangedEvent(policy.document, attempt, exchange), answerOf(decided, exchange));
  });
  if (emergency && released) deps.emergencyOpened();
  return released;
}

/** The transaction of an exchange, whoever signed its token; `release` ends it. */
export async function committed<Result>(
  deps: ReleaseMinted,
  { policy, subject, asked, caller, approved }: Decided,
  exchange: Exchange,
  release: (tx: Transaction<Schema>) => Promise<Result>,
): Promise<Result | undefined> {
  const now = deps.now();
  const recorded = deps.db.transaction().execute(async (tx) => {
    if (!(await deps.policies.isNewest(tx, policy))) return undefined;
    if (approved) {
      if (!(await consumeApproval(tx, approved.id, approvalTimes(policy.document, now)))) return undefined;
      await deps.recordWithin(tx, consumedEvent(subject, caller, approved, exchange, now));
    }
    await recordExchange(tx, deps.sequence, subject, asked, caller, exchange, now);
    return release(tx);
  });
  return recorded.catch((cause: unknown) => {
    if (cause instanceof ExchangeRefused || cause instanceof Problem) throw cause;
    throw problem('audit_unavailable', { retryAfterSeconds: 1, cause });
  });
}

/** RFC 8693 section 2.2.1; the type is the one that was asked for: every token here is both. */
export const answerOf = ({ form }: Decided, { token, tokenType, expiresInSeconds, scopes }: Exchange) => ({
  status: 200 as const,
  body: {
    access_token: token,
    issued_token_type: form.requested_token_type ?? ACCESS_TOKEN,
    token_type: tokenType,
    expires_in: expiresInSeconds,
    scope: scopes.join(' '),
  },
});

const consumedEvent = (
  { principal: { tenant, person } }: Subject,
  { workload }: Caller,
  { id }: Approved,
  { tokenId, actors }: Exchange,
  now: Date,
): AuditEvent =>
  newEvent(
    {
      action: 'approval.consumed',
      outcome: 'success',
      tenant,
      actor: { ...(person && { person }), workload, acts: [...actors] },
      resource: { type: 'approval', id },
      details: { tokenId },
    },
    now,
  );
