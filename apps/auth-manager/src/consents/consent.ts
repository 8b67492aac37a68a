import type { Selectable } from 'kysely';
import type { ConsentsTable } from '../db/schema.ts';

export type ConsentRow = Selectable<ConsentsTable>;

/** How long a person may take from the link to the end. */
export const CONSENT_SECONDS = 600;

/** Why a consent came to nothing: what its starter is told, and what the audit holds. */
export const failureReasons = [
  'wrong_issuer',
  'unsigned_response',
  'malformed',
  'provider_error',
  'provider_refused',
  'other_person',
  'no_offline_token',
  'certificate_bound_token',
  'nothing_consented',
  'quota_exceeded',
] as const;
export type FailureReason = (typeof failureReasons)[number];

/** The state as its starter sees it: what was not finished in time is `expired`. */
export const publicStates = ['pending', 'started', 'completed', 'denied', 'failed', 'expired'] as const;
export type PublicState = (typeof publicStates)[number];

export function publicState({ state, expires_at }: ConsentRow, now: Date): PublicState {
  if (state === 'completed' || state === 'denied' || state === 'failed') return state;
  if (now >= expires_at) return 'expired';
  return state === 'redeeming' ? 'started' : state;
}

/** The states after which nothing changes any more. */
export const isFinal = (state: PublicState): boolean => state !== 'pending' && state !== 'started';

export const consentView = (consent: ConsentRow, now: Date) => ({
  id: consent.id,
  state: publicState(consent, now),
  reason: consent.reason,
  grant: consent.grant_id,
  purpose: consent.purpose,
  scopes: consent.scopes,
  handle: {
    workload: consent.handle_workload,
    audiences: consent.handle_audiences,
    scopes: consent.handle_scopes,
  },
  expires_at: consent.expires_at.toISOString(),
});
