import type { AttemptState, GrantState } from '../db/schema.ts';

/** How long a provider may still be working on a request that was written at the last moment. */
export const HANDLING_SECONDS = 5;

/** `restoredAt`: when the database was last found to be restored, if ever. */
export type GrantNow = { state: GrantState; confirmedAt: Date; restoredAt?: Date | null };
export type OpenAttempt = { state: Extract<AttemptState, 'intended' | 'replied'>; deadline: Date };

/**
 * What to do next with a grant, decided under its lock (R20):
 * - `use`: the provider confirmed it recently enough.
 * - `refresh`: nothing is under way; ask the provider.
 * - `apply_reply`: a reply was journalled and not yet applied.
 * - `wait`: an earlier attempt may still be on its way; nothing may be sent before `until`.
 * - `ask_first`: the database was restored since the provider last confirmed the grant: the token may be an old one whose
 *   use would kill its family, so the provider is asked before anything else.
 * - `ask_provider`: an earlier attempt ended without a reply; introspect the old token before anything else.
 * - `refuse`: the grant is not usable.
 */
export type Step =
  | { step: 'use' }
  | { step: 'refresh' }
  | { step: 'apply_reply' }
  | { step: 'wait'; until: Date }
  | { step: 'ask_first' }
  | { step: 'ask_provider' }
  | { step: 'refuse'; state: Exclude<GrantState, 'active'> };

export function nextStep(at: {
  grant: GrantNow;
  attempt: OpenAttempt | undefined;
  now: Date;
  confirmedWithinSeconds: number;
}): Step {
  const { grant, attempt, now } = at;
  if (grant.state !== 'active') return { step: 'refuse', state: grant.state };
  // Before the age: a reply that lies in the journal may hold the only live token.
  if (attempt?.state === 'replied') return { step: 'apply_reply' };
  if (attempt) {
    const until = new Date(attempt.deadline.getTime() + HANDLING_SECONDS * 1000);
    return now < until ? { step: 'wait', until } : { step: 'ask_provider' };
  }
  if (isUnasked(grant)) return { step: 'ask_first' };
  return isConfirmed(grant, now, at.confirmedWithinSeconds) ? { step: 'use' } : { step: 'refresh' };
}

/** R20: nothing that was known before a restore counts. */
export const isUnasked = ({ confirmedAt, restoredAt }: Pick<GrantNow, 'confirmedAt' | 'restoredAt'>): boolean =>
  restoredAt !== undefined && restoredAt !== null && confirmedAt < restoredAt;

/** Of the time that a confirmation is good for, it is young for so long; then it is renewed beside whoever uses the grant. */
const YOUNG_SHARE = 0.8;

/** For how many seconds a confirmation is young. */
export const youngSeconds = (confirmedWithinSeconds: number): number => confirmedWithinSeconds * YOUNG_SHARE;

/** R11: the provider's confirmation is not older than the life of an access token. */
export const isConfirmed = ({ confirmedAt }: Pick<GrantNow, 'confirmedAt'>, now: Date, withinSeconds: number) =>
  now.getTime() - confirmedAt.getTime() < withinSeconds * 1000;
