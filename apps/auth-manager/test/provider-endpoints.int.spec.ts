import { afterAll, beforeAll, beforeEach, expect, jest, test } from '@jest/globals';
import { profileNamed } from '@postern/profile';
import { createLogger, Secret } from '@postern/runtime';
import type { Providers } from '../src/provider/open-providers.ts';
import { readLogout } from '../src/sessions/read-logout.ts';
import { freshGrants, type FreshGrants } from './fresh-grants.ts';
import {
  cuts,
  drips,
  hangs,
  huge,
  json,
  page,
  providersAt,
  startMisbehavingProvider,
  type MisbehavingProvider,
} from './misbehaving-provider.ts';

// What else than its token endpoint a provider may fail at: what it says of itself, its keys, introspection, revocation, its clock.

let at: FreshGrants;
let provider: MisbehavingProvider;
let providers: Providers;
let logged: string[];
const profile = profileNamed('fedramp-moderate');

beforeAll(async () => {
  [at, provider] = await Promise.all([freshGrants(), startMisbehavingProvider()]);
});
afterAll(async () => {
  await provider.close();
  await at.close();
});
beforeEach(async () => {
  provider.well();
  // By the wall again: what providers sign is dated by it.
  at.later((Date.now() - at.now().getTime()) / 1000);
  logged = [];
  const logger = createLogger({
    service: 'auth-manager',
    level: 'debug',
    destination: { write: (line: string) => void logged.push(line) },
  });
  providers = providersAt(provider, at, logger);
  await at.clear();
});

const stale = async () => (await at.grants(1, { idleSeconds: null, confirmedSecondsAgo: 3_600 }))[0]!;
const confirmed = (grant: string) => at.replica(providers.operator).confirm(grant);
const attempts = async () =>
  (await at.query<{ state: string }>('select state from refresh_attempts order by created_at', [])).map(
    ({ state }) => state,
  );
const unavailable = { code: 'provider_unavailable' };
const said = (what: object) => logged.map((line) => JSON.parse(line) as unknown).filter((one) => includes(one, what));
const includes = (one: unknown, what: object) =>
  Object.entries(what).every(([name, value]) => (one as Record<string, unknown>)[name] === value);

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const logout = async (claims: Record<string, unknown> = {}) => {
  const good = { sub: 'alice', jti: crypto.randomUUID(), events: { [EVENT]: {} }, ...claims };
  const token = await provider.sign(good, { typ: 'logout+jwt' });
  const spec = { audiences: ['auth-manager'], algorithms: profile.verifyAlgs, now: () => new Date(Date.now()) };
  return readLogout({ providers, ...spec }, token);
};
const signedAnswer = async () => providers.operator.readResponse(await provider.sign({ code: 'c', state: 's' }));
/** A code redeemed: its ID token is checked by the keys. */
async function redeemed(): Promise<string> {
  const nonce = crypto.randomUUID();
  const id_token = await provider.sign({ sub: 'alice', nonce });
  provider.meets('token', json(200, { access_token: 'a', token_type: 'DPoP', expires_in: 60, id_token }));
  const callback = new URL('https://us.example/callback?code=c&state=s');
  const { idToken } = await providers.operator.redeem({ callback, state: 's', nonce, verifier: new Secret('v') });
  return idToken.sub;
}

const faults = [
  ['cuts the connection', cuts],
  ['500 with a page', page(500)],
  ['200 with a page', page(200)],
  ['a redirect', page(302, { location: 'https://127.0.0.1:1/' })],
  ['429', json(429, {}, { 'retry-after': '7' })],
  ['JSON of another shape', json(200, [1])],
  ['more than it may send', huge],
] as const;

/** What stands in the body alone: of a revocation that says nothing (RFC 7009, 2.2). */
const ofBodies = new Set<unknown>([huge, faults[5][1]]);

test('a provider that comes to call itself by another name is sent nothing five minutes later, and is used again when it no longer does', async () => {
  const grant = await stale();
  expect(await confirmed(grant)).toEqual({ refreshed: true });
  provider.callsItself('https://other.example');
  at.later(601);
  await expect(confirmed(grant)).rejects.toMatchObject(unavailable);
  await expect(providers.operator.revoke(new Secret('t'))).rejects.toMatchObject(unavailable);
  await expect(providers.operator.isActive(new Secret('t'))).rejects.toMatchObject(unavailable);
  await expect(logout()).rejects.toMatchObject(unavailable);
  expect(provider.calls()).toMatchObject({ token: 1, revoke: 0, introspect: 0, keys: 0 });
  await expect(providers.operator.check()).rejects.toMatchObject({ kind: 'untrusted' });
  expect(said({ operation: 'discover', reason: 'untrusted' }).length).toBeGreaterThan(0);
  provider.callsItself(provider.issuer);
  expect(await confirmed(grant)).toEqual({ refreshed: true });
  expect(await attempts()).toEqual(['applied', 'abandoned', 'applied']);
});

test.each(faults)(
  'discovery: %s: before the first contact nothing is sent; after it what was said last counts',
  async (_name, fault) => {
    const grant = await stale();
    provider.meets('discovery', fault);
    await expect(confirmed(grant)).rejects.toMatchObject(unavailable);
    expect(provider.calls().token).toBe(0);
    provider.well();
    expect(await confirmed(grant)).toEqual({ refreshed: true });
    provider.meets('discovery', fault);
    at.later(601);
    expect(await confirmed(grant)).toEqual({ refreshed: true });
    expect(provider.calls()).toMatchObject({ token: 2, discovery: 2 });
  },
);

test.each(faults)('keys: %s: nothing that they sign is judged without them', async (_name, fault) => {
  provider.meets('keys', fault);
  await expect(logout()).rejects.toMatchObject(unavailable);
  await expect(signedAnswer()).rejects.toMatchObject(unavailable);
  await expect(redeemed()).rejects.toThrow();
  provider.well();
  expect(await logout()).toMatchObject({ sub: 'alice' });
  expect(await signedAnswer()).toMatchObject({ code: 'c' });
  expect(await redeemed()).toBe('alice');
});

test('signing keys are rotated: the next consent and, after the cool-down of 30 s, the next signed answer and logout count', async () => {
  const later = jest.spyOn(Date, 'now');
  try {
    for (let turn = 0; turn < 3; turn++) {
      expect(await redeemed()).toBe('alice');
      expect(await logout()).toMatchObject({ sub: 'alice' });
      expect(await signedAnswer()).toMatchObject({ code: 'c' });
      await provider.rotateKeys();
      expect(await redeemed()).toBe('alice');
      const moved = (turn + 1) * 31_000;
      later.mockImplementation(() => performance.timeOrigin + performance.now() + moved);
      at.later(31);
    }
  } finally {
    later.mockRestore();
  }
});

test.each([
  ...faults,
  ['no word on it', json(200, {})],
  ['a word that is none', json(200, { active: 'no' })],
  ['401', json(401, { error: 'invalid_client' })],
] as const)(
  'R20: introspection: %s: the grant is neither given up nor is its token sent again',
  async (_name, fault) => {
    const grant = await stale();
    provider.meets('token', cuts);
    await expect(confirmed(grant)).rejects.toMatchObject(unavailable);
    provider.well();
    at.later(20);
    provider.meets('introspect', fault);
    await expect(confirmed(grant)).rejects.toMatchObject(unavailable);
    expect([provider.calls().token, await attempts()]).toEqual([0, ['intended']]);
    provider.well();
    expect(await confirmed(grant)).toEqual({ refreshed: true });
    expect(await attempts()).toEqual(['abandoned', 'applied']);
  },
);

test.each(faults.filter(([, fault]) => !ofBodies.has(fault)))(
  'revocation: %s: it does not count as done',
  async (_name, fault) => {
    const revoke = () => providers.operator.revoke(new Secret('t'));
    provider.meets('revoke', fault);
    await expect(revoke()).rejects.toMatchObject(unavailable);
    provider.well();
    await expect(revoke()).resolves.toBeUndefined();
    provider.meets('revoke', json(200, { error: 'invalid_token' }));
    await expect(revoke()).resolves.toBeUndefined();
  },
);

test('an answer that never comes is given up, and one that comes byte by byte after ten seconds, wherever it comes from', async () => {
  await providers.operator.check();
  for (const fault of [hangs, drips]) {
    const grant = await stale();
    for (const endpoint of ['discovery', 'keys', 'token', 'introspect', 'revoke'] as const)
      provider.meets(endpoint, fault);
    const { operator } = providers;
    const all: Promise<unknown>[] = [confirmed(grant), operator.isActive(new Secret('t')), logout()];
    // What is asked of a revocation is its status alone.
    if (fault === hangs) all.push(operator.revoke(new Secret('t')));
    const first = providersAt(provider, at).operator.isActive(new Secret('t'));
    for (const one of await Promise.allSettled([...all, first])) {
      expect(one).toMatchObject({ status: 'rejected', reason: unavailable });
    }
    expect(await attempts()).toEqual(['intended']);
    await at.clear();
  }
}, 60_000);

test.each([60, -60])(
  'its clock is %d s ahead: what we sign is dated by it, what it signs is judged by it, and it is said',
  async (seconds) => {
    provider.clockAhead(seconds);
    const grant = await stale();
    expect(await confirmed(grant)).toEqual({ refreshed: true });
    expect(await providers.operator.isActive(new Secret('t'))).toBe(true);
    expect(await redeemed()).toBe('alice');
    const offsets = logged.flatMap(
      (line) => (JSON.parse(line) as { clockOffsetSeconds?: number }).clockOffsetSeconds ?? [],
    );
    expect(offsets).toHaveLength(1);
    expect(Math.abs((offsets[0] ?? 0) - seconds)).toBeLessThanOrEqual(5);
  },
);

test('a clock that jumps after the first contact is followed once the provider has refused: nothing was consumed, and the grant lives', async () => {
  for (const seconds of [60, -60]) {
    provider.well();
    const grant = await stale();
    expect(await confirmed(grant)).toEqual({ refreshed: true });
    provider.clockAhead(seconds);
    at.later(601);
    await at.clear();
    const next = await stale();
    // The five minutes are over too: the first contact is repeated here, with the clock as it is now.
    expect(await confirmed(next)).toEqual({ refreshed: true });
    provider.clockAhead(-seconds);
    at.later(11);
    const third = await stale();
    await expect(confirmed(third)).rejects.toMatchObject(unavailable);
    expect(await confirmed(third)).toEqual({ refreshed: true });
    provider.well();
    await at.clear();
    at.later(601);
  }
});

test('a clock that is further off than two minutes is not followed: the provider refuses, the grant lives, and it is said', async () => {
  provider.clockAhead(3_600);
  const grant = await stale();
  await expect(confirmed(grant)).rejects.toMatchObject(unavailable);
  expect(await attempts()).toEqual(['abandoned']);
  expect(said({ operation: 'discover' })).toMatchObject([{ message: "the provider's clock is not ours" }]);
  provider.clockAhead(0);
  expect(await confirmed(grant)).toEqual({ refreshed: true });
});

test('a logout dated a minute ahead is refused, and counts when its time has come', async () => {
  provider.clockAhead(60);
  await expect(logout()).rejects.toMatchObject({ code: 'logout_refused' });
  provider.clockAhead(-60);
  expect(await logout()).toMatchObject({ sub: 'alice' });
});
