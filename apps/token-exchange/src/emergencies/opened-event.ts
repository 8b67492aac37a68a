import { newEvent, type AuditEvent } from '@postern/audit';
import type { Approved } from '../approvals/approval-of.ts';
import type { Exchange } from '../exchanges/exchange-token.ts';
import type { Caller } from '../exchanges/plan-exchange.ts';
import type { Subject } from '../exchanges/subject.ts';

/** The event that wakes people, beside the token's own: it is committed with it, before the token leaves. */
export const openedEvent = (
  { principal: { tenant, person, actors } }: Subject,
  { workload }: Caller,
  { id }: Approved,
  { tokenId, scopes, expiresAt }: Exchange,
  now: Date,
): AuditEvent =>
  newEvent(
    {
      action: 'emergency.opened',
      outcome: 'success',
      tenant,
      actor: { ...(person && { person }), workload, acts: [...actors] },
      resource: { type: 'approval', id },
      details: { scopes: [...scopes], tokenId, expiresAt: expiresAt.toISOString() },
    },
    now,
  );
