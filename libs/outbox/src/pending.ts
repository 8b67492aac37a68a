import { randomFillSync } from 'node:crypto';
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
  const bytes = canonicalBytes(event);
  const canonical = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (canonical.length > EVENT_MAX_BYTES) throw new RangeError(`An event is at most ${EVENT_MAX_BYTES} bytes`);
  return { id: event.id, action: event.action, salt: freshSalt(), canonical, guard };
}

const POOL_BYTES = 256 * SALT_BYTES;
let pool = Buffer.alloc(0);

/** 32 random bytes, of which nobody else holds a copy: one call of the generator serves 256 events. */
function freshSalt(): Buffer {
  if (pool.length === 0) pool = randomFillSync(Buffer.alloc(POOL_BYTES));
  const salt = pool.subarray(0, SALT_BYTES);
  pool = pool.subarray(SALT_BYTES);
  return salt;
}
