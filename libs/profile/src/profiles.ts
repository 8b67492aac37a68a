import { type Profile, type ProfileName } from './profile.ts';

const rateTiersPerMinute = Object.freeze({ auth: 10, sensitive: 30, standard: 100, relaxed: 1000 });

const low: Profile = {
  name: 'fedramp-low',
  sessionIdleMinutes: 30,
  sessionMaxMinutes: 480,
  accessTokenMinutes: 10,
  passwordMinLength: 8,
  lockoutAttempts: 5,
  lockoutMinutes: 15,
  requireMfa: false,
  fapi: false,
  signedAuthorizationResponses: false,
  offlineGrantsOutliveSession: true,
  requireMtls: false,
  certificateBoundTokens: false,
  senderBinding: 'optional',
  fipsDefault: false,
  signingAlg: 'ES256',
  verifyAlgs: ['ES256', 'PS256', 'RS256', 'EdDSA'],
  allowedTokenTypes: ['at+jwt', 'JWT'],
  keyRotationDays: 365,
  exchangesPerMinute: 600,
  rateTiersPerMinute,
};

const moderate: Profile = {
  ...low,
  name: 'fedramp-moderate',
  keyRotationDays: 90,
  sessionIdleMinutes: 15,
  sessionMaxMinutes: 240,
  passwordMinLength: 12,
  lockoutAttempts: 3,
  lockoutMinutes: 30,
  fapi: true,
  senderBinding: 'required',
  // FAPI 2.0 Security Profile, 5.4: PS256, ES256 or EdDSA.
  verifyAlgs: ['ES256', 'PS256', 'EdDSA'],
  allowedTokenTypes: ['at+jwt'],
};

const high: Profile = {
  ...moderate,
  name: 'fedramp-high',
  keyRotationDays: 30,
  exchangesPerMinute: 300,
  sessionIdleMinutes: 10,
  sessionMaxMinutes: 120,
  accessTokenMinutes: 5,
  passwordMinLength: 15,
  requireMfa: true,
  requireMtls: true,
  signedAuthorizationResponses: true,
  offlineGrantsOutliveSession: false,
  certificateBoundTokens: true,
  fipsDefault: true,
  verifyAlgs: ['ES256', 'PS256'],
};

const frozen = (profile: Profile): Profile =>
  Object.freeze({
    ...profile,
    verifyAlgs: Object.freeze([...profile.verifyAlgs]),
    allowedTokenTypes: Object.freeze([...profile.allowedTokenTypes]),
  });

/** The one table of what each baseline means. */
export const profiles: Readonly<Record<ProfileName, Profile>> = Object.freeze({
  'fedramp-low': frozen(low),
  'fedramp-moderate': frozen(moderate),
  'fedramp-high': frozen(high),
});

/** The names, in the order of their strictness: for a settings schema (`z.enum(profileNames)`). */
export const profileNames = ['fedramp-low', 'fedramp-moderate', 'fedramp-high'] as const satisfies ProfileName[];

/**
 * The profile of that name.
 * @throws RangeError on any other name: a deployment never falls back to a weaker table.
 */
export function profileNamed(name: string): Profile {
  if (!Object.hasOwn(profiles, name)) throw new RangeError(`no such profile: ${JSON.stringify(name)}`);
  return profiles[name as ProfileName];
}

/**
 * A profile with `POSTERN_FIPS` applied: only algorithms of FIPS 186 that validated modules offer (no EdDSA).
 * Whether the process really runs a validated module is asked elsewhere (`crypto.getFips()`).
 */
export function underFips(profile: Profile): Profile {
  return frozen({ ...profile, verifyAlgs: profile.verifyAlgs.filter((alg) => alg !== 'EdDSA') });
}
