import { expect, test } from '@jest/globals';
import { problem } from '@postern/runtime';
import { UnsecuredJWT } from 'jose';
import { introspectTokens, KEPT_SECONDS } from './introspect-tokens.ts';
import type { Inspected, ProviderCalls } from './provider-calls.ts';

const issuer = 'https://idp.example';

/** A provider that counts how often it is asked, and our own revocations. */
function open() {
  let clock = new Date('2026-01-01T00:00:00Z');
  let asked = 0;
  let away = false;
  let revoked = false;
  const exp = Math.floor(clock.getTime() / 1_000) + 3_600;
  const said: Inspected = {
    active: true,
    clientId: 'portal',
    issuer,
    sub: 'alice',
    sessionId: 's',
    scopes: [],
    type: 'Bearer',
    claims: { exp },
  };
  const inspect = async () => {
    asked += 1;
    if (away) throw problem('provider_unavailable');
    return said;
  };
  const { living } = introspectTokens({
    own: { living: async () => null },
    sequence: { revokes: async () => revoked },
    provider: { issuer, inspect } as unknown as ProviderCalls,
    tenant: 'acme',
    now: () => clock,
  });
  const [, claims] = new UnsecuredJWT({ iss: issuer, exp }).encode().split('.');
  const header = Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'JWT' })).toString('base64url');
  return {
    living: () => living(`${header}.${claims}.c2lnbmF0dXJl`),
    asked: () => asked,
    later: (seconds: number) => (clock = new Date(clock.getTime() + seconds * 1_000)),
    goAway: () => (away = true),
    comeBack: () => (away = false),
    revoke: () => (revoked = true),
  };
}

test("the provider's answer is kept for seconds, and then asked for again", async () => {
  const at = open();
  expect(await at.living()).toMatchObject({ clientId: 'portal', tenant: 'acme' });
  at.goAway();
  at.later(KEPT_SECONDS - 1);
  expect(await at.living()).toMatchObject({ clientId: 'portal' });
  expect(at.asked()).toBe(1);
  at.later(1);
  await expect(at.living()).rejects.toMatchObject({ code: 'provider_unavailable' });
  // That it gave none is not kept.
  at.comeBack();
  expect(await at.living()).toMatchObject({ clientId: 'portal' });
  expect(at.asked()).toBe(3);
});

test('R14: what was revoked here is dead at once, whatever is kept', async () => {
  const at = open();
  expect(await at.living()).not.toBeNull();
  at.revoke();
  expect(await at.living()).toBeNull();
  expect(at.asked()).toBe(1);
});
