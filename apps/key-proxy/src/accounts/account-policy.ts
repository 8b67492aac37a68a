import { type Profile } from '@postern/profile';

/** Who needs a second factor before they may do more than enrol one. */
export const secondFactors = ['nobody', 'administrators', 'everyone'] as const;
export type SecondFactor = (typeof secondFactors)[number];

/** What a profile means for the accounts of this service (ADR 38). */
export type AccountPolicy = {
  /** Whether there are accounts of this service at all: in high people come from an identity provider. */
  accounts: boolean;
  passwordMinLength: number;
  /** As many passwords as this, the present one among them, are not taken again (IA-5(1)). */
  passwordHistory: number;
  secondFactor: SecondFactor;
  sessionIdleMs: number;
  sessionMaxMs: number;
};

const MINUTE_MS = 60_000;
const PASSWORD_HISTORY = 24;

export function accountPolicy(profile: Profile, asked?: SecondFactor): AccountPolicy {
  const byProfile = profile.requireMfa ? 'everyone' : profile.fapi ? 'administrators' : 'nobody';
  return Object.freeze({
    accounts: profile.name !== 'fedramp-high',
    passwordMinLength: profile.passwordMinLength,
    passwordHistory: PASSWORD_HISTORY,
    secondFactor: asked ?? byProfile,
    sessionIdleMs: profile.sessionIdleMinutes * MINUTE_MS,
    sessionMaxMs: profile.sessionMaxMinutes * MINUTE_MS,
  });
}
