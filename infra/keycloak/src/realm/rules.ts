import { type PasswordRules, type RealmRules } from './model.ts';

const DAY_SECONDS = 86_400;
const HALF_DAY_SECONDS = DAY_SECONDS / 2;
const MINUTE_SECONDS = 60;

/** IA-5(1): what a password must be, in Keycloak's words, in a fixed order. */
export function passwordPolicy(password: PasswordRules): string {
  const { minLength, upperCase, digits, specialChars, history, hash, blocked } = password;
  return [
    `length(${minLength})`,
    'maxLength(128)',
    ...(digits ? ['digits(1)'] : []),
    ...(upperCase ? ['upperCase(1)'] : []),
    ...(specialChars ? ['specialChars(1)'] : []),
    'notUsername(undefined)',
    'notEmail(undefined)',
    ...(history > 0 ? [`passwordHistory(${history})`] : []),
    // OWASP's figure for PBKDF2-HMAC-SHA-512; Argon2id takes its cost from the server.
    ...(hash === 'argon2' ? ['hashAlgorithm(argon2)'] : ['hashAlgorithm(pbkdf2-sha512)', 'hashIterations(210000)']),
    ...(blocked ? [`passwordBlacklist(${blocked})`] : []),
  ].join(' and ');
}

/** AC-7, AC-11, AC-12, SC-23: lifetimes and lockout. All times in seconds. */
export const lifetimes = (rules: RealmRules) => ({
  accessTokenLifespan: rules.accessTokenSeconds,
  accessTokenLifespanForImplicitFlow: MINUTE_SECONDS,
  accessCodeLifespan: MINUTE_SECONDS,
  accessCodeLifespanUserAction: 5 * MINUTE_SECONDS,
  accessCodeLifespanLogin: 15 * MINUTE_SECONDS,
  ssoSessionIdleTimeout: rules.sessionIdleSeconds,
  ssoSessionMaxLifespan: rules.sessionMaxSeconds,
  offlineSessionIdleTimeout: rules.offlineIdleSeconds,
  offlineSessionMaxLifespanEnabled: true,
  offlineSessionMaxLifespan: rules.offlineMaxSeconds,
  rememberMe: false,
  revokeRefreshToken: rules.rotation !== 'off',
  refreshTokenMaxReuse: rules.rotation === 'off' ? 0 : rules.rotation.maxReuse,
});

/** The first wait is the whole lockout: `failureFactor` failures, then that long. */
export const lockout = ({ lockout: { enabled, attempts, seconds } }: RealmRules) => ({
  bruteForceProtected: enabled,
  permanentLockout: false,
  bruteForceStrategy: 'MULTIPLE',
  failureFactor: attempts,
  waitIncrementSeconds: seconds,
  maxFailureWaitSeconds: seconds,
  minimumQuickLoginWaitSeconds: MINUTE_SECONDS,
  quickLoginCheckMilliSeconds: 100,
  maxDeltaTimeSeconds: HALF_DAY_SECONDS,
});

/** SC-8, SC-18: what every page of the provider tells the browser. */
export const securityHeaders = {
  contentSecurityPolicy: "frame-src 'self'; frame-ancestors 'self'; object-src 'none';",
  contentSecurityPolicyReportOnly: '',
  referrerPolicy: 'no-referrer',
  strictTransportSecurity: 'max-age=63072000; includeSubDomains',
  xContentTypeOptions: 'nosniff',
  xFrameOptions: 'SAMEORIGIN',
  xRobotsTag: 'none',
};

/** AU-2, AU-3, AU-11: what is recorded, and who is told. */
export const events = ({ events: { types, listeners, keepSeconds } }: RealmRules) => ({
  eventsEnabled: true,
  eventsExpiration: keepSeconds,
  eventsListeners: [...listeners].sort(),
  enabledEventTypes: types === 'all' ? [] : [...types].sort(),
  adminEventsEnabled: true,
  adminEventsDetailsEnabled: true,
});

/** IA-2(1): codes by RFC 6238, and security keys that verify their user. */
export const secondFactorPolicies = {
  otpPolicyType: 'totp',
  otpPolicyAlgorithm: 'HmacSHA1',
  otpPolicyDigits: 6,
  otpPolicyPeriod: 30,
  otpPolicyLookAheadWindow: 1,
  otpPolicyCodeReusable: false,
  webAuthnPolicyRpEntityName: 'postern',
  webAuthnPolicySignatureAlgorithms: ['ES256', 'RS256'],
  webAuthnPolicyUserVerificationRequirement: 'required',
  webAuthnPolicyAttestationConveyancePreference: 'not specified',
  webAuthnPolicyAvoidSameAuthenticatorRegister: true,
};
