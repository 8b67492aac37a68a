import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { profileNamed } from '@postern/profile';
import { exportJWK, exportSPKI, CompactEncrypt } from 'jose';
import { createTokenVerifier, TokenRefused, type TokenVerifierSpec } from '../src/index.ts';
import {
  entryOf,
  newSigner,
  realmClaims,
  seconds,
  serveKeySet,
  sign,
  thumbprint,
  type Signer,
} from './issuer-for-tests.ts';

let signer: Signer;
let keySet: Awaited<ReturnType<typeof serveKeySet>>;

beforeAll(async () => {
  signer = await newSigner('key-1');
  keySet = await serveKeySet([signer]);
});
afterAll(() => keySet.close());

function verifierOf(over: Partial<TokenVerifierSpec> = {}) {
  return createTokenVerifier({
    issuers: [entryOf(keySet.uri)],
    audience: 'token-exchange',
    kinds: ['provider-access'],
    profile: profileNamed('fedramp-moderate'),
    fetchJwks: keySet.fetchJwks,
    ...over,
  });
}

const presented = { certificateThumbprint: thumbprint, workload: 'portal' };

const reasonOf = (refused: Promise<unknown>) =>
  refused.then(
    () => 'accepted',
    (error: unknown) => (error instanceof TokenRefused ? `${error.code}/${error.reason}` : `threw ${String(error)}`),
  );

const refusal = (token: string, over: Partial<TokenVerifierSpec> = {}) =>
  reasonOf(verifierOf(over).verify(token, presented));

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

test('a realm’s token becomes a principal of the issuer’s fixed tenant, with the audience’s own roles only (R1, R3)', async () => {
  const token = await sign(signer, realmClaims({ tenant: 'another-company' }));
  const principal = await verifierOf().verify(token, presented);
  expect(principal).toMatchObject({
    tenant: 'acme',
    kind: 'provider-access',
    person: { sub: 'alice-id' },
    clientId: 'portal',
    workload: 'portal',
    sessionId: 'session-1',
    binding: { kind: 'certificate', thumbprint },
  });
  expect([...principal.roles]).toEqual(['user']);
  expect(JSON.stringify(principal)).not.toContain(token);
});

test('a client that logged itself in is no person', async () => {
  const own = await sign(signer, realmClaims({ sub: 'job', azp: 'job', sid: undefined }));
  const account = { sub: 'uuid', azp: 'job', sid: undefined, preferred_username: 'service-account-job' };
  expect((await verifierOf().verify(own, presented)).person).toBeNull();
  expect((await verifierOf().verify(await sign(signer, realmClaims(account)), presented)).person).toBeNull();
  const posing = await sign(signer, realmClaims({ ...account, sid: 'a-session' }));
  expect((await verifierOf().verify(posing, presented)).person).not.toBeNull();
});

describe('R7: refused before any key is used', () => {
  test.each(['none', 'None', 'NONE'])('alg %s', async (alg) => {
    const token = `${encoded({ alg, typ: 'at+jwt', kid: 'key-1' })}.${encoded(realmClaims())}.`;
    expect(await refusal(token)).toBe('invalid_token/malformed');
    expect(await refusal(`${token}AAAA`)).toBe('invalid_token/algorithm_refused');
  });

  test('HS256 made with the public key', async () => {
    const input = `${encoded({ alg: 'HS256', typ: 'at+jwt', kid: 'key-1' })}.${encoded(realmClaims())}`;
    for (const key of [await exportSPKI(signer.publicKey), JSON.stringify(await exportJWK(signer.publicKey))]) {
      const mac = createHmac('sha256', key).update(input).digest('base64url');
      expect(await refusal(`${input}.${mac}`)).toBe('invalid_token/algorithm_refused');
    }
  });

  test('an algorithm that the issuer’s entry, or the profile, does not list', async () => {
    const rsa = await newSigner('rsa', 'RS256');
    const token = await sign(rsa, realmClaims());
    expect(await refusal(token)).toBe('invalid_token/algorithm_refused');
    const issuers = [entryOf(keySet.uri, { algorithms: ['RS256', 'ES256'] })];
    expect(await refusal(token, { issuers })).toBe('invalid_token/algorithm_refused');
  });

  test('an ID token, a logout token, a grant, a refresh token', async () => {
    for (const typ of ['JWT', undefined, 'logout+jwt', 'grant+jwt', 'txntoken+jwt', 'Refresh', 7]) {
      const token = await sign(signer, realmClaims({ typ: 'ID' }), { typ });
      expect(await refusal(token)).toBe('invalid_token/wrong_kind');
    }
  });

  test('in low a header `JWT` counts with the claim typ=Bearer only; above low never', async () => {
    const bearer = await sign(signer, realmClaims({ typ: 'Bearer' }), { typ: 'JWT' });
    const id = await sign(signer, realmClaims({ typ: 'ID' }), { typ: 'JWT' });
    const profile = profileNamed('fedramp-low');
    expect(await refusal(bearer, { profile })).toBe('accepted');
    expect(await refusal(id, { profile })).toBe('invalid_token/wrong_kind');
    expect(await refusal(bearer)).toBe('invalid_token/wrong_kind');
  });

  test('a token that brings its own key, or says what must be understood; no address in it is ever asked', async () => {
    let asked = 0;
    const canary = createServer((_, response) => {
      asked += 1;
      response.end('{"keys":[]}');
    });
    await new Promise<void>((listening) => canary.listen(0, '127.0.0.1', listening));
    const at = `http://127.0.0.1:${(canary.address() as AddressInfo).port}/keys`;
    const forger = await newSigner('key-1');
    const jwk = await exportJWK(forger.publicKey);
    for (const member of [{ jku: at }, { x5u: at }, { jwk }, { x5c: ['AAAA'] }, { zip: 'DEF' }]) {
      expect(await refusal(await sign(forger, realmClaims(), member))).toBe('invalid_token/header_refused');
    }
    for (const member of [{ crit: ['b64'], b64: false }, { crit: [] }, { b64: false }, { crit: ['exp'] }]) {
      const input = `${encoded({ alg: 'ES256', typ: 'at+jwt', kid: 'key-1', ...member })}.${encoded(realmClaims())}`;
      expect(await refusal(`${input}.AAAA`)).toBe('invalid_token/header_refused');
    }
    expect(asked).toBe(0);
    await new Promise((closed) => canary.close(closed));
  });

  test.each(['../../etc/passwd', "' or 1=1 --", 'k'.repeat(10_000), '', 5, null, 'key-2'])(
    'hostile kid',
    async (kid) => {
      const token = `${encoded({ alg: 'ES256', typ: 'at+jwt', kid })}.${encoded(realmClaims())}.AAAA`;
      expect(await refusal(token)).toMatch(/^invalid_token\/(unknown_key|too_large)$/);
    },
  );

  test('a JWE, a bomb, white space, other spellings of the same bytes', async () => {
    const jwe = await new CompactEncrypt(Buffer.alloc(100_000))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .encrypt(new Uint8Array(32));
    expect(await refusal(jwe.slice(0, 400) + jwe.slice(-30))).toMatch(/invalid_token/);
    expect(await refusal('a.b.c.d.e')).toBe('invalid_token/encrypted');
    expect(await refusal(jwe)).toBe('invalid_token/too_large');
    const token = await sign(signer, realmClaims());
    expect(await refusal(token)).toBe('accepted');
    const [header, claims, signature] = token.split('.') as [string, string, string];
    const spellings = [
      ` ${token}`,
      `${token}\n`,
      `${header}.${claims.slice(0, 9)} ${claims.slice(9)}.${signature}`,
      `${header}.${claims}.${signature}=`,
      `${header}.${claims}.${signature}A`,
      `${header}.${claims}.${signature.slice(0, -1)}B`,
      `${header}.${claims}.${signature.replaceAll('-', '+').replaceAll('_', '/')}+`,
      `${header}..${signature}`,
      `${token}.`,
      '',
    ];
    for (const spelling of spellings) expect(await refusal(spelling)).toMatch(/^invalid_token\/(malformed|bad_sig)/);
  });
});

describe('claims', () => {
  test.each([
    ['no iss', { iss: undefined }, 'unknown_issuer'],
    ['another iss', { iss: 'https://evil.example/realms/postern' }, 'unknown_issuer'],
    ['no aud', { aud: undefined }, 'bad_claims'],
    ['another aud', { aud: 'portal' }, 'wrong_audience'],
    ['aud of the wrong type', { aud: { 'token-exchange': true } }, 'bad_claims'],
    ['no exp', { exp: undefined }, 'bad_claims'],
    ['exp as text', { exp: '9999999999' }, 'bad_claims'],
    ['exp passed', { exp: seconds() - 1, iat: seconds() - 300 }, 'expired'],
    [
      'older than the profile’s longest life, whatever exp says',
      { iat: seconds() - 601, exp: seconds() + 9e6 },
      'expired',
    ],
    ['nbf to come', { nbf: seconds() + 3_600 }, 'not_yet_valid'],
    ['iat to come', { iat: seconds() + 3_600 }, 'not_yet_valid'],
    ['no sub', { sub: undefined }, 'bad_claims'],
    ['no client', { azp: undefined }, 'bad_claims'],
    ['two clients', { client_id: 'job' }, 'bad_claims'],
    ['no binding above low', { cnf: undefined }, 'unbound'],
    ['a binding of an unknown method', { cnf: { jwk: {} } }, 'bad_claims'],
    ['bound to another certificate', { cnf: { 'x5t#S256': 'B'.repeat(43) } }, 'binding_mismatch'],
    ['bound twice', { cnf: { 'x5t#S256': thumbprint, jkt: thumbprint } }, 'bad_claims'],
  ])('%s', async (_, over, reason) => {
    expect(await refusal(await sign(signer, realmClaims(over)))).toBe(`invalid_token/${reason}`);
  });

  test('a signature by another key under the same kid', async () => {
    expect(await refusal(await sign(await newSigner('key-1'), realmClaims()))).toBe('invalid_token/bad_signature');
  });

  test('R1: only the listed audience of an issuer, only scopes under its ceiling', async () => {
    const token = await sign(signer, realmClaims({ scope: 'records:read records:write' }));
    const elsewhere = [entryOf(keySet.uri, { audiences: ['crypto-store'] })];
    expect(await refusal(token, { issuers: elsewhere })).toBe('invalid_token/wrong_audience');
    const narrow = verifierOf({ issuers: [entryOf(keySet.uri, { scopeCeiling: ['records:read'] })] });
    expect([...(await narrow.verify(token, presented)).scopes]).toEqual(['records:read']);
  });
});

test('R13: a cached verification is asked for time, binding, audience and revocation at every use', async () => {
  let at = Date.now();
  let state: 'live' | 'revoked' | 'unknown' = 'live';
  const verifier = verifierOf({ now: () => new Date(at), revocations: { stateOf: () => state } });
  const token = await sign(signer, realmClaims());
  expect(await reasonOf(verifier.verify(token, presented))).toBe('accepted');
  expect(await reasonOf(verifier.verify(token, {}))).toBe('invalid_token/binding_mismatch');
  state = 'revoked';
  expect(await reasonOf(verifier.verify(token, presented))).toBe('invalid_token/revoked');
  state = 'unknown';
  expect(await reasonOf(verifier.verify(token, presented))).toBe('revocation_unavailable/revocation_unavailable');
  state = 'live';
  at += 301_000;
  expect(await reasonOf(verifier.verify(token, presented))).toBe('invalid_token/expired');
});
