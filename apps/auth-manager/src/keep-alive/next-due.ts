import { createHash } from 'node:crypto';
import type { GrantKind } from '../db/schema.ts';

const DAY_SECONDS = 86_400;

/** An offline grant is refreshed at least this often, although nobody uses it. */
export const KEEP_ALIVE_SECONDS = 7 * DAY_SECONDS;

/** At most once a minute, however short the provider's own time is. */
const LEAST_SECONDS = 60;

/** What of a grant decides when it is kept alive. */
export type KeptGrant = { id: string; kind: GrantKind; idleSeconds: number | null };

/** Half of the time in which the token would die unused: one slot may be missed. */
const periodOf = ({ idleSeconds }: KeptGrant): number =>
  Math.max(LEAST_SECONDS, Math.min(KEEP_ALIVE_SECONDS, Math.floor((idleSeconds ?? Infinity) / 2)));

/** The place of a grant within its period, 0 up to 1: by its id alone, so that grants spread evenly and stay where they are. */
export const slotOf = (id: string): number => createHash('sha256').update(id).digest().readUInt32BE() / 2 ** 32;

/**
 * When a grant that the provider confirmed at `confirmedAt` is refreshed next if nobody uses it: the next instant of its
 * slot, which comes once a period. Null for a `refresh` grant: a session that nobody uses shall end (AC-11).
 */
export function nextDue(grant: KeptGrant, confirmedAt: Date): Date | null {
  if (grant.kind !== 'offline') return null;
  const periodMs = periodOf(grant) * 1000;
  const offset = slotOf(grant.id) * periodMs;
  const turn = Math.floor((confirmedAt.getTime() - offset) / periodMs) + 1;
  return new Date(Math.ceil(turn * periodMs + offset));
}
