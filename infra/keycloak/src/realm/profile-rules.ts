import { type Profile } from '@postern/profile';

import { type RealmRules } from './model.ts';

const MINUTE_SECONDS = 60;
const DAY_SECONDS = 86_400;

/** What a profile says of a realm where a document says nothing: section 3.3's table, and 3.2's defaults. */
export const rulesOf = (profile: Profile, { fips }: { fips: boolean }): RealmRules => ({
  sessionIdleSeconds: profile.sessionIdleMinutes * MINUTE_SECONDS,
  sessionMaxSeconds: profile.sessionMaxMinutes * MINUTE_SECONDS,
  accessTokenSeconds: profile.accessTokenMinutes * MINUTE_SECONDS,
  offlineIdleSeconds: 30 * DAY_SECONDS,
  offlineMaxSeconds: 60 * DAY_SECONDS,
  rotation: profile.fapi ? 'off' : { maxReuse: 1 },
  password: {
    minLength: profile.passwordMinLength,
    upperCase: true,
    digits: true,
    specialChars: true,
    history: 24,
    hash: fips ? 'pbkdf2-sha512' : 'argon2',
  },
  lockout: { enabled: true, attempts: profile.lockoutAttempts, seconds: profile.lockoutMinutes * MINUTE_SECONDS },
  secondFactor: {
    required: profile.requireMfa ? 'everyone' : 'administrators',
    administrators: ['realm-management/realm-admin'],
    methods: ['totp', 'webauthn'],
  },
  events: { types: 'all', listeners: ['jboss-logging'], keepSeconds: 90 * DAY_SECONDS },
});
