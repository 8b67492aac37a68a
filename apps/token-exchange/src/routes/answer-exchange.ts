import type { Released } from '@postern/http';
import type { RevocationSequence } from '@postern/issuer';
import { TokenRefused, type Presented, type TokenVerifier } from '@postern/oidc';
import { quotasFor, type PolicyDocument } from '@postern/policy';
import { problem } from '@postern/runtime';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { approvalOf, awaitsApproval, type ApprovalOf, type Approved } from '../approvals/approval-of.ts';
import { approvalRequest } from '../approvals/approval-request.ts';
import type { DecisionWatch } from '../approvals/await-decision.ts';
import { inEmergency, withLentRole } from '../emergencies/in-emergency.ts';
import { actingParty } from '../exchanges/acting-party.ts';
import { clientOf } from '../exchanges/client-of.ts';
import { refusedEvent, type Attempt } from '../exchanges/exchange-event.ts';
import type { ExchangeRates } from '../exchanges/exchange-rates.ts';
import { mintToken } from '../exchanges/exchange-token.ts';
import { planExchange, type Asked, type Caller, type PlanExchange } from '../exchanges/plan-exchange.ts';
import type { Subject } from '../exchanges/subject.ts';
import { ExchangeRefused, refusalOf } from '../exchanges/refusal.ts';
import type { PolicyStore, StoredPolicy } from '../policy/policy-store.ts';
import { releaseFromProvider } from './release-from-provider.ts';
import { releaseMinted, type Decided, type ReleaseMinted } from './release-minted.ts';
import type { ProviderExchange } from '../provider/provider-exchange.ts';
import { refusedAnswer, type ExchangeAudit } from './exchange-answers.ts';
import { actorTokenOf, askedFor, ID_TOKEN, type ExchangeForm } from './exchange-form.ts';

export type AnswerExchange = Omit<PlanExchange, 'policy'> &
  ApprovalOf &
  ReleaseMinted & {
    db: Kysely<Schema>;
    sequence: RevocationSequence;
    policies: PolicyStore;
    subjects: Pick<TokenVerifier, 'verifySubject' | 'inspect'>;
    exchangeAtProvider: ProviderExchange;
    rates: ExchangeRates;
    decisions: DecisionWatch;
  };

/** `Prefer: wait=SECONDS` (RFC 7240): an exchange that waits for a person is answered when they have decided. */
export const preferHeader = z.strictObject({
  prefer: z
    .string()
    .max(256)
    .optional()
    .describe('`wait=SECONDS`, at most 30 (RFC 7240): for how long to wait for an approval'),
});
const LONGEST_WAIT_SECONDS = 30;
export const preferred = ({ prefer = '' }: z.output<typeof preferHeader>): number =>
  Math.min(LONGEST_WAIT_SECONDS, Number(/(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])/i.exec(prefer)?.[1] ?? 0));

/**
 * An authenticated request: who asks, and what the connection shows of the subject token's holder.
 */
export type Authenticated = { caller: Caller; presented: Omit<Presented, 'client'> };

/**
 * Exchanges and answers. The exchange's row, its event and the answer are one transaction, in which the policy that decided
 * is still in force; a refusal is recorded with the rule that decided before it is answered.
 * @param authenticate says who asks; may refuse the rest of the request
 * @param waitSeconds how long to wait for a person's decision
 */
export async function answerExchange(
  deps: AnswerExchange,
  form: ExchangeForm,
  caller: Caller,
  authenticate: () => Authenticated | Promise<Authenticated>,
  audit: ExchangeAudit,
  waitSeconds: number,
): Promise<Released> {
  const attempt: Attempt = { caller };
  const enter = entering(deps, caller, authenticate);
  let policy = await deps.policies.current();
  let waits = waitSeconds;
  try {
    for (let turn = 0; turn < TURNS; turn++) {
      const { revision } = policy;
      const outcome = await once(deps, { policy, attempt, form }, enter, audit);
      if (outcome && !(outcome instanceof ExchangeRefused)) return outcome;
      const decided = outcome?.approval && waits > 0 && (await deps.decisions.decided(outcome.approval.id, waits));
      if (outcome?.approval) waits = 0;
      // Neither a token nor a refusal is by a policy that is no longer in force, or for a subject that is no longer good.
      policy = await deps.policies.refresh();
      if (outcome && !decided && policy.revision === revision) throw outcome;
    }
    throw problem('audit_unavailable', { retryAfterSeconds: 1 });
  } catch (error) {
    const said = refusalOf(error);
    if (!said) throw error;
    return audit.released(refusedEvent(policy.document, attempt, said), refusedAnswer(said));
  }
}

/** This service as an audience of quotas. */
const HERE = 'token-exchange';

// A policy is not replaced twice while one token is minted.
const TURNS = 4;

type Enter = {
  authenticate: () => Promise<Authenticated>;
  count: (policy: StoredPolicy, subject: Subject) => Promise<void>;
};

/** What is done once for a request, however often it is decided: whoever asks proves who they are, and is counted. */
function entering(
  { rates }: Pick<AnswerExchange, 'rates'>,
  { workload }: Caller,
  authenticate: () => Authenticated | Promise<Authenticated>,
): Enter {
  let known: Authenticated | undefined;
  let counted = false;
  return {
    authenticate: async () => (known ??= await authenticate()),
    async count({ document }, { principal }) {
      if (counted) return;
      counted = true;
      const own = quotasFor(document, principal.tenant, [HERE])?.[HERE];
      await rates.consume(workload, principal, own?.requestsPerMinute);
    },
  };
}

type Turn = { policy: StoredPolicy; attempt: Attempt; form: ExchangeForm };
type Once = Turn & { subject: Subject; asked: Asked; known: Authenticated };

/** @returns a refusal, or undefined where another policy is in force by now */
async function once(deps: AnswerExchange, turn: Turn, enter: Enter, audit: ExchangeAudit) {
  try {
    const whole = await readBy(deps, turn, enter);
    await enter.count(turn.policy, whole.subject);
    return await decide(deps, whole, audit);
  } catch (error) {
    if (error instanceof ExchangeRefused) return error;
    throw error;
  }
}

async function decide(deps: AnswerExchange, whole: Once, audit: ExchangeAudit): Promise<Released | undefined> {
  const emergency = whole.form.emergency !== undefined;
  const policy = emergency ? emergencyPolicy(whole) : whole.policy;
  const { subject, asked, form, known } = whole;
  return give().catch(async (error: unknown) => {
    const request = awaitsApproval(error) && approvalRequest(policy.document, subject, asked, known.caller, emergency);
    if (!request) throw error;
    // What approvers read first.
    const told = emergency ? `EMERGENCY: ${form.justification}`.slice(0, 1_024) : form.justification;
    return give(await approvalOf(deps, policy, request, told));
  });

  async function give(approved?: Approved): Promise<Released | undefined> {
    const allowed = approved ? narrowedTo(policy.document, asked, approved.scopes) : asked;
    const plan = planExchange({ ...deps, policy: policy.document }, subject, allowed, known.caller);
    const decided: Decided = { ...whole, policy, caller: known.caller, asked: allowed, approved };
    if (plan.decision.minter === 'provider') return releaseFromProvider(deps, decided, plan, audit);
    const holder = emergency ? { ...subject, principal: withLentRole(subject.principal, policy.document) } : subject;
    const exchange = await mintToken(deps, holder, allowed, known.caller, plan);
    return releaseMinted(deps, decided, exchange, audit);
  }
}

/** @throws ExchangeRefused `emergency_refused` where nobody could say what for, or no policy for it is in force */
function emergencyPolicy({ policy, subject, form }: Once): StoredPolicy {
  if (form.justification === undefined) throw new ExchangeRefused('emergency_refused');
  withLentRole(subject.principal, policy.document);
  return { ...policy, document: inEmergency(policy.document) };
}

/** What was approved: an audience of which nothing was approved is none of the token's. */
function narrowedTo({ scopes: known }: PolicyDocument, asked: Asked, approved: readonly string[]): Asked {
  const left = asked.audiences.filter((one) =>
    known.some(({ name, audience }) => audience === one && approved.includes(name)),
  );
  const [first = asked.audiences[0], ...more] = left;
  return { audiences: [first, ...more], scopes: approved, approved };
}

/**
 * What is asked, by whom, and for whom, as this turn's policy reads it.
 * @throws TokenRefused `wrong_kind` where the token is not of the type that the form says; ExchangeRefused
 */
async function readBy(deps: AnswerExchange, turn: Turn, { authenticate }: Pick<Enter, 'authenticate'>): Promise<Once> {
  const { attempt, form } = turn;
  const { document } = turn.policy;
  const asked = (attempt.asked = askedFor(form, document));
  const known = await authenticate();
  const presented = { ...known.presented, client: clientOf(document, known.caller.workload) };
  const actorToken = actorTokenOf(form);
  const verified = await deps.subjects.verifySubject(form.subject_token, presented);
  const isIdToken = verified.principal.kind === 'id-token';
  if (isIdToken !== (form.subject_token_type === ID_TOKEN)) throw new TokenRefused('wrong_kind');
  const acting = actorToken && (await actingParty(deps.subjects, document, actorToken, presented));
  const subject = (attempt.subject = acting ? { ...verified, acting } : verified);
  return { ...turn, asked, known, subject };
}
