import { expect, test } from '@jest/globals';
import { profileNamed, profileNames, profiles, underFips } from './profiles.ts';

// The rows of the deployment design's table 3.3, in its order.
const published = {
  'fedramp-low': [30, 480, 10, 8, 5, 15, false, false, false, false],
  'fedramp-moderate': [15, 240, 10, 12, 3, 30, false, true, false, false],
  'fedramp-high': [10, 120, 5, 15, 3, 30, true, true, true, true],
} as const;

test.each(profileNames)('%s has exactly the published figures', (name) => {
  const p = profileNamed(name);
  expect([
    p.sessionIdleMinutes,
    p.sessionMaxMinutes,
    p.accessTokenMinutes,
    p.passwordMinLength,
    p.lockoutAttempts,
    p.lockoutMinutes,
    p.requireMfa,
    p.fapi,
    p.requireMtls,
    p.certificateBoundTokens,
  ]).toEqual(published[name]);
  expect(p.rateTiersPerMinute).toEqual({ auth: 10, sensitive: 30, standard: 100, relaxed: 1000 });
});

test('above low a token must be bound to its sender and typed at+jwt (R7, R8)', () => {
  expect(profileNames.map((name) => profiles[name].senderBinding)).toEqual(['optional', 'required', 'required']);
  expect(profileNames.map((name) => profiles[name].allowedTokenTypes.includes('JWT'))).toEqual([true, false, false]);
});

test('an unknown name is refused, never replaced by a default', () => {
  for (const name of ['', 'low', 'FEDRAMP-HIGH', 'toString', '__proto__']) {
    expect(() => profileNamed(name)).toThrow(RangeError);
  }
});

test('the table cannot be altered at run time', () => {
  const high = profileNamed('fedramp-high');
  expect(() => Object.assign(high, { requireMfa: false })).toThrow(TypeError);
  expect(() => (high.verifyAlgs as string[]).push('none')).toThrow(TypeError);
  expect(() => Object.assign(high.rateTiersPerMinute, { auth: 1e9 })).toThrow(TypeError);
});

test('FIPS leaves no EdDSA in any profile, and high has none to begin with', () => {
  for (const name of profileNames) expect(underFips(profiles[name]).verifyAlgs).not.toContain('EdDSA');
  expect(profiles['fedramp-high'].verifyAlgs).toEqual(['ES256', 'PS256']);
  expect(profiles['fedramp-high'].fipsDefault).toBe(true);
});
