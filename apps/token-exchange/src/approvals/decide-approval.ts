import type { Person, Principal } from '@postern/oidc';
import { hasRole, type PolicyDocument } from '@postern/policy';
import { problem } from '@postern/runtime';
import type { Transaction } from 'kysely';
import type { ApprovalState, Schema } from '../db/schema.ts';
import { namesOfWorkload } from '../workloads/names-of-workload.ts';

export type Verdict = {
  decision: 'approved' | 'denied';
  /** Fewer than were asked for; absent: all of them. */
  scopes?: readonly string[] | undefined;
  reason?: string | undefined;
};

/**
 * One person's verdict. A denial ends the request; an approval does once as many people as needed have approved, and what
 * all of them approved is granted.
 * @throws Problem `approval_not_found` (another tenant's too), `approval_ended`, `approver_refused`, `scopes_not_asked`
 */
export async function decideApproval(
  tx: Transaction<Schema>,
  policy: PolicyDocument,
  approver: Principal,
  id: string,
  verdict: Verdict,
  now: Date,
): Promise<{ state: ApprovalState; scopes: readonly string[] | null; missing: number }> {
  const row = await tx
    .selectFrom('approvals')
    .selectAll()
    .where('id', '=', id)
    .where('tenant', '=', approver.tenant)
    .forUpdate()
    .executeTakeFirst();
  if (!row) throw problem('approval_not_found');
  const person = assertApprover(policy, approver, row);
  if (row.state !== 'pending' || row.expires_at <= now || row.policy_version !== policy.version) {
    throw problem('approval_ended');
  }
  const scopes = [...new Set(verdict.scopes ?? row.scopes)];
  if (scopes.length === 0 || scopes.some((scope) => !row.scopes.includes(scope))) throw problem('scopes_not_asked');

  const said = await tx
    .insertInto('approval_decisions')
    .values({
      approval_id: id,
      person_issuer: person.issuer,
      person_sub: person.sub,
      decision: verdict.decision,
      scopes,
      reason: verdict.reason ?? null,
      decided_at: now,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('approval_id')
    .executeTakeFirst();
  if (!said) throw problem('approver_refused', { detail: 'You have decided about this already' });
  if (verdict.decision === 'denied') return end('denied', null);

  const decisions = await tx.selectFrom('approval_decisions').selectAll().where('approval_id', '=', id).execute();
  const missing = row.persons_needed - decisions.length;
  if (missing > 0) return { state: 'pending', scopes: null, missing };
  const common = row.scopes.filter((scope) => decisions.every((one) => one.scopes.includes(scope)));
  return common.length > 0 ? end('approved', common) : end('denied', null);

  async function end(state: 'approved' | 'denied', approved: string[] | null) {
    await tx
      .updateTable('approvals')
      .set({ state, approved_scopes: approved, person_name: null, ended_at: now })
      .where('id', '=', id)
      .execute();
    return { state, scopes: approved, missing: 0 };
  }
}

/**
 * R19: approvers come from one issuer, with a role and a login that policy names; never the person for whom it is asked,
 * nor one that acts in the chain.
 */
function assertApprover(policy: PolicyDocument, approver: Principal, requested: Requested): Person {
  const detail = whyNotApprover(policy, approver, requested);
  if (detail !== null || approver.person === null) throw problem('approver_refused', { detail: detail ?? ELSEWHERE });
  return approver.person;
}

type Requested = { person_issuer: string; person_sub: string; actors: readonly string[] };
const ELSEWHERE = 'Approvers come from the issuer that the policy names';

/** Why this person may not see what waits for approval; `null`: they may. */
export function whyNotReader({ approvals, roles }: PolicyDocument, { person, roles: held }: Principal): string | null {
  if (approvals === undefined || person === null || person.issuer !== approvals.issuer) return ELSEWHERE;
  return hasRole({ roles }, held, approvals.role) ? null : 'You lack the role that the policy names';
}

/** Why this person may not decide about this request; `null`: they may. Fixed texts, for the person. */
export function whyNotApprover(policy: PolicyDocument, approver: Principal, requested: Requested): string | null {
  const unread = whyNotReader(policy, approver);
  const { person, actors, clientId, claims } = approver;
  if (unread !== null || person === null) return unread ?? ELSEWHERE;
  const acr = policy.approvals?.acr;
  if (acr !== undefined && claims['acr'] !== acr) return 'Log in as strongly as the policy asks';
  if (person.issuer === requested.person_issuer && person.sub === requested.person_sub) {
    return 'Nobody approves for themselves';
  }
  // The workload through which the approver speaks, by its own chain or by the client of their token, must not be one that would gain.
  const through = new Set([person.sub, clientId, ...actors]);
  const gaining = requested.actors.flatMap((actor) => namesOfWorkload(policy, actor));
  return gaining.some((actor) => through.has(actor)) ? 'Nobody who acts in the request approves it' : null;
}
