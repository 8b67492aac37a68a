import { randomBytes } from 'node:crypto';
import { canonicalBytes, EVENT_MAX_BYTES, SALT_BYTES, type AuditEvent } from '@postern/audit';
import type { GuardUse } from './guards.ts';

/** An event as it will stand in its row: bytes already, so that nothing about it can fail inside a group (R24). */
export type PendingEvent = {
  id: string;
  action: string;
  salt: Buffer;
  canonical: Buffer;
  guard: GuardUse | undefined;
};

/**
 * @throws TypeError when the event has no canonical form, RangeError when that is longer than `EVENT_MAX_BYTES`: both are
 *   mistakes of the program, and concern this event only.
 */
export function pendingEvent(event: AuditEvent, guard?: GuardUse): PendingEvent {
  const canonical = Buffer.from(canonicalBytes(event));
  if (canonical.length > EVENT_MAX_BYTES) throw new RangeError(`An event is at most ${EVENT_MAX_BYTES} bytes`);
  return { id: event.id, action: event.action, salt: randomBytes(SALT_BYTES), canonical, guard };
}
