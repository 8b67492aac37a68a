import { newEvent, type AuditEvent } from '@postern/audit';
import type { PolicyDocument } from '@postern/policy';
import type { Kysely, Transaction } from 'kysely';
import type { Schema } from '../db/schema.ts';
import { ExchangeRefused, type Reason } from '../exchanges/refusal.ts';
import type { PolicyStore, StoredPolicy } from '../policy/policy-store.ts';
import { expiredEvent } from './expire-approvals.ts';
import type { ApprovalRequest } from './approval-request.ts';
import { seekApproval, type SeekApproval, type Sought } from './seek-approval.ts';

export type ApprovalOf = {
  db: Kysely<Schema>;
  policies: PolicyStore;
  recordWithin: (tx: Transaction<Schema>, event: AuditEvent) => Promise<void>;
  now: () => Date;
};

/** An approval that may be used for this exchange, and the scopes that were approved. */
export type Approved = { id: string; scopes: readonly string[] };

export const awaitsApproval = (error: unknown): boolean =>
  error instanceof ExchangeRefused && error.reason === 'approval_needed';

export const approvalTimes = ({ approvals }: PolicyDocument, now: Date): SeekApproval => ({
  now,
  expireSeconds: approvals?.expireSeconds ?? 0,
  rememberSeconds: approvals?.rememberSeconds,
});

const reasons: Record<Exclude<Sought['state'], 'approved'>, Reason> = {
  authorization_pending: 'authorization_pending',
  slow_down: 'slow_down',
  access_denied: 'approval_denied',
  expired_token: 'approval_expired',
};

/**
 * The approval of a request; asks for it where there is none. The request and its event are one transaction.
 * @throws ExchangeRefused saying how it stands
 */
export async function approvalOf(
  { db, policies, recordWithin, now }: ApprovalOf,
  policy: StoredPolicy,
  request: ApprovalRequest,
  justification: string | undefined,
): Promise<Approved> {
  const at = now();
  const sought = await db.transaction().execute(async (tx) => {
    if (!(await policies.isNewest(tx, policy))) return null;
    const found = await seekApproval(tx, request, justification, approvalTimes(policy.document, at));
    if ('asked' in found && found.asked) await recordWithin(tx, requestedEvent(request, found, at));
    if ('ended' in found && found.ended) await recordWithin(tx, endedEvent(request, found.id, at));
    return found;
  });
  // Another policy is in force: the caller decides anew.
  if (!sought) throw new ExchangeRefused('approval_needed');
  if (sought.state === 'approved') return sought;
  const waiting = 'expiresAt' in sought && {
    id: sought.id,
    intervalSeconds: sought.intervalSeconds,
    expiresInSeconds: Math.max(0, Math.floor((sought.expiresAt.getTime() - at.getTime()) / 1000)),
  };
  throw new ExchangeRefused(reasons[sought.state], [...request.scopes], waiting || undefined);
}

const endedEvent = ({ tenant, person, actors, workload }: ApprovalRequest, id: string, now: Date): AuditEvent =>
  expiredEvent(
    { id, tenant, person_issuer: person.issuer, person_sub: person.sub, workload, actors: [...actors] },
    now,
  );

const requestedEvent = (
  { tenant, person, actors, workload, audiences, scopes }: ApprovalRequest,
  { id, expiresAt }: { id: string; expiresAt: Date },
  now: Date,
): AuditEvent =>
  newEvent(
    {
      action: 'approval.requested',
      outcome: 'success',
      tenant,
      actor: { person, workload, acts: [...actors] },
      resource: { type: 'approval', id },
      details: {
        audience: audiences[0],
        ...(audiences.length > 1 && { audiences: [...audiences] }),
        scopes: [...scopes],
        expiresAt: expiresAt.toISOString(),
      },
    },
    now,
  );
