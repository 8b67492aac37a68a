import { randomFillSync } from 'node:crypto';
import {
  canonicalBytes,
  EVENT_MAX_BYTES,
  packedLength,
  SALT_BYTES,
  type AuditEvent,
  type PackedEntry,
} from '@postern/audit';
import type { GuardUse } from './guards.ts';

/** An event as it will stand in its group: bytes already, so that nothing about it can fail there (R24). */
export type PendingEvent = PackedEntry & {
  /** Bytes that it takes in its group. */
  bytes: number;
  guard: GuardUse | undefined;
  /** It begins an effect elsewhere: it stands open until its outcome is recorded (R23). */
  opens: boolean;
  /** The intent whose outcome it is. */
  closes: string | undefined;
};

/**
 * @throws TypeError when the event has no canonical form, RangeError when that is longer than `EVENT_MAX_BYTES`: both are
 *   mistakes of the program, and concern this event only.
 */
export function pendingEvent(event: AuditEvent, guard?: GuardUse): PendingEvent {
  const canonical = canonicalBytes(event);
  if (canonical.length > EVENT_MAX_BYTES) throw new RangeError(`An event is at most ${EVENT_MAX_BYTES} bytes`);
  const entry = { id: event.id, action: event.action, salt: freshSalt(), event: canonical };
  const opens = event.outcome === 'intent';
  return { ...entry, bytes: packedLength(entry), guard, opens, closes: event.intent };
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
