import { randomUUIDv7 } from 'node:crypto';
import { knownInOrder } from './canonical-bytes.ts';
import { auditEvent, type AuditEvent } from './event.ts';

/** What the caller knows; id, time and version are stamped here. */
export type EventDraft = Omit<AuditEvent, 'v' | 'id' | 'time'>;

/**
 * Stamps and checks an event. The same event may be recorded again under its id (an unknown commit, R23), so callers keep
 * the value and do not call this twice for one thing that happened.
 *
 * @throws TypeError naming the fields when the draft does not fit its action: that is a mistake in the program, not input.
 */
export function newEvent(draft: EventDraft, now: Date): AuditEvent {
  const event = { v: 1, id: randomUUIDv7(), time: now.toISOString(), ...draft };
  const checked = auditEvent.safeParse(event);
  if (checked.success) return knownInOrder(checked.data);
  const where = checked.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new TypeError(`Not an audit event (${draft.action}): ${where.join('; ')}`);
}
