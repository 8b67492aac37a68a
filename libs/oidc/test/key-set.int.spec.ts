import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { profileNamed } from '@postern/profile';
import { createTokenVerifier, keySetTimes, TokenRefused, type TokenVerifier } from '../src/index.ts';
import { entryOf, newSigner, realmClaims, serveKeySet, sign, thumbprint, type Signer } from './issuer-for-tests.ts';

let first: Signer;
let second: Signer;
let keySet: Awaited<ReturnType<typeof serveKeySet>>;
let verifier: TokenVerifier;
let at: number;

beforeEach(async () => {
  [first, second] = await Promise.all([newSigner('first'), newSigner('second')]);
  keySet = await serveKeySet([first]);
  at = Date.now();
  verifier = createTokenVerifier({
    issuers: [entryOf(keySet.uri)],
    audience: 'token-exchange',
    kinds: ['provider-access'],
    profile: profileNamed('fedramp-moderate'),
    fetchJwks: keySet.fetchJwks,
    now: () => new Date(at),
  });
});
afterEach(() => keySet.close());

const later = (seconds: number) => (at += seconds * 1000);
const issued = () => ({ iat: Math.floor(at / 1000), exp: Math.floor(at / 1000) + 300 });
const outcome = async (signer: Signer, header = {}) =>
  verifier.verify(await sign(signer, realmClaims(issued()), header), { certificateThumbprint: thumbprint }).then(
    () => 'accepted',
    (error: unknown) => (error instanceof TokenRefused ? error.code : String(error)),
  );
/** Time for a read that was begun in the background; a test that needs its end waits for that itself. */
const settled = () => new Promise((done) => setTimeout(done, 50));

test('ten thousand random kids lead to one read of the key set in a cool-down, and good tokens pass all the while', async () => {
  expect(await outcome(first)).toBe('accepted');
  const token = await sign(first, realmClaims(issued()));
  const [, claims, signature] = token.split('.');
  const flood = Array.from({ length: 10_000 }, () => {
    const header = Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'at+jwt', kid: randomUUID() })).toString(
      'base64url',
    );
    return verifier.verify(`${header}.${claims}.${signature}`, {}).catch((error: TokenRefused) => error.reason);
  });
  expect(await outcome(first)).toBe('accepted');
  expect(new Set(await Promise.all(flood))).toEqual(new Set(['unknown_key']));
  expect(keySet.reads()).toBe(1);
  later(keySetTimes.coolDownSeconds);
  await Promise.all(Array.from({ length: 100 }, () => outcome(first, { kid: randomUUID() })));
  expect(keySet.reads()).toBe(2);
});

test('a new key that is published before it signs is known in time: no false 401 in a rotation under load', async () => {
  const refused: string[] = [];
  const check = async (signer: Signer) => {
    const found = await outcome(signer);
    if (found !== 'accepted') refused.push(found);
    await settled();
  };
  await check(first);
  await keySet.publish([first, second]);
  for (let waited = 0; waited < keySetTimes.refreshAfterSeconds + keySetTimes.coolDownSeconds; waited += 30) {
    await check(first);
    later(30);
  }
  await check(second);
  await check(first);
  expect(refused).toEqual([]);
});

test('a key that was taken away ends what it signed, also what was verified before (R13: key-set generation)', async () => {
  const token = await sign(first, realmClaims({ ...issued(), exp: Math.floor(at / 1000) + 600 }));
  await verifier.verify(token, { certificateThumbprint: thumbprint });
  await keySet.publish([second]);
  later(keySetTimes.refreshAfterSeconds);
  // The first use after that time begins the read, and those from its end on are refused.
  const used = () =>
    verifier.verify(token, { certificateThumbprint: thumbprint }).then(
      () => 'accepted',
      (error: TokenRefused) => error.reason,
    );
  expect(await used()).toBe('accepted');
  let again = await used();
  for (; again === 'accepted'; again = await used()) await settled();
  expect(again).toBe('unknown_key');
});

test('key set down: cached keys are believed until their greatest age, then 503 and never 401; then all is well again', async () => {
  expect(await outcome(first)).toBe('accepted');
  keySet.fail(true);
  for (let waited = 0; waited < keySetTimes.maxAgeSeconds; waited += 60) {
    expect(await outcome(first)).toBe('accepted');
    await settled();
    later(60);
  }
  expect(await outcome(first)).toBe('keys_unavailable');
  expect(await outcome(second)).toBe('keys_unavailable');
  keySet.fail(false);
  later(keySetTimes.coolDownSeconds);
  expect(await outcome(first)).toBe('accepted');
});

test('an unknown kid while the key set is down cannot be judged: 503', async () => {
  expect(await outcome(first)).toBe('accepted');
  keySet.fail(true);
  later(keySetTimes.coolDownSeconds);
  expect(await outcome(second)).toBe('keys_unavailable');
});

test('a service whose issuer cannot be reached is not ready', async () => {
  keySet.fail(true);
  await expect(verifier.ready()).rejects.toMatchObject({ code: 'keys_unavailable' });
  keySet.fail(false);
  later(keySetTimes.coolDownSeconds);
  await verifier.ready();
});

test('a service that started before its issuer serves a second after that is there, and asks once a second until then', async () => {
  keySet.fail(true);
  expect(await outcome(first)).toBe('keys_unavailable');
  const reads = keySet.reads();
  expect(await outcome(first)).toBe('keys_unavailable');
  expect(keySet.reads()).toBe(reads);
  keySet.fail(false);
  later(keySetTimes.retryAfterSeconds);
  expect(await outcome(first)).toBe('accepted');
});
