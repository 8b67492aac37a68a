import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { profileNamed, type ProfileName } from '@postern/profile';
import { calculateJwkThumbprint, exportJWK, SignJWT, type JWTPayload } from 'jose';
import { createTokenVerifier, TokenRefused, type Presented, type TokenVerifierSpec } from '../src/index.ts';
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

const url = 'https://token-exchange.dev.postern.internal/v1/things';
let signer: Signer;
let holder: Signer;
let jkt: string;
let keySet: Awaited<ReturnType<typeof serveKeySet>>;

beforeAll(async () => {
  [signer, holder] = await Promise.all([newSigner('key-1'), newSigner('holder')]);
  jkt = await calculateJwkThumbprint(await exportJWK(holder.publicKey));
  keySet = await serveKeySet([signer]);
});
afterAll(() => keySet.close());

function verifierOf(profile: ProfileName = 'fedramp-moderate', over: Partial<TokenVerifierSpec> = {}) {
  const used = new Set<string>();
  return createTokenVerifier({
    issuers: [entryOf(keySet.uri)],
    audience: 'token-exchange',
    kinds: ['provider-access'],
    profile: profileNamed(profile),
    fetchJwks: keySet.fetchJwks,
    useOnce: async (kind, value) => {
      const first = !used.has(`${kind} ${value}`);
      used.add(`${kind} ${value}`);
      return first;
    },
    ...over,
  });
}

const ath = (token: string) => createHash('sha256').update(token).digest('base64url');
let proofs = 0;

async function proof(
  token: string | null,
  {
    claims = {},
    header = {},
    by = holder,
  }: { claims?: JWTPayload; header?: Record<string, unknown>; by?: Signer } = {},
): Promise<string> {
  const jwk = await exportJWK(by.publicKey);
  const body = {
    jti: `proof-${(proofs += 1)}-${process.pid}`,
    htm: 'GET',
    htu: url,
    iat: seconds(),
    ...(token === null ? {} : { ath: ath(token) }),
    ...claims,
  };
  return new SignJWT(JSON.parse(JSON.stringify(body)) as JWTPayload)
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk, ...header })
    .sign(by.privateKey);
}

const dpop = (made: string): Presented => ({ dpop: { proof: made, method: 'GET', url: `${url}?page=2` } });
const outcome = (verified: Promise<unknown>) =>
  verified.then(
    () => 'accepted',
    (error: unknown) => (error instanceof TokenRefused ? error.reason : String(error)),
  );
const bound = () => sign(signer, realmClaims({ cnf: { jkt } }));

describe('a DPoP-bound token (RFC 9449)', () => {
  test('is accepted with a proof by its key for this request, once', async () => {
    const token = await bound();
    const verifier = verifierOf();
    const made = await proof(token);
    expect(await outcome(verifier.verify(token, dpop(made)))).toBe('accepted');
    expect(await outcome(verifier.verify(token, dpop(made)))).toBe('proof_replayed');
    expect(await outcome(verifier.verify(token, {}))).toBe('proof_missing');
    expect(await outcome(verifier.verify(token, { certificateThumbprint: thumbprint }))).toBe('proof_missing');
  });

  test('is refused with any other proof', async () => {
    const token = await bound();
    const verifier = verifierOf();
    const other = await newSigner('other');
    const withPrivate = await exportJWK(holder.privateKey);
    const wrong: [string, Promise<string>][] = [
      ['binding_mismatch', proof(token, { by: other })],
      ['proof_invalid', proof(token, { claims: { htm: 'POST' } })],
      ['proof_invalid', proof(token, { claims: { htu: 'https://elsewhere.example/v1/things' } })],
      ['proof_invalid', proof(token, { claims: { htu: 'not a url' } })],
      ['proof_invalid', proof(token, { claims: { ath: ath('another') } })],
      ['proof_invalid', proof(null)],
      ['proof_invalid', proof(token, { claims: { iat: seconds() - 120 } })],
      ['proof_invalid', proof(token, { claims: { iat: seconds() + 3_600 } })],
      ['proof_invalid', proof(token, { claims: { jti: 'x' } })],
      ['proof_invalid', proof(token, { header: { typ: 'JWT' } })],
      ['proof_invalid', proof(token, { header: { jwk: await exportJWK(other.publicKey) } })],
      ['proof_invalid', proof(token, { header: { jwk: withPrivate } })],
      ['proof_invalid', proof(token, { header: { jku: 'https://elsewhere.example' } })],
      ['proof_invalid', Promise.resolve('a.b.c')],
    ];
    for (const [reason, made] of wrong) {
      expect(await outcome(verifier.verify(token, dpop(await made)))).toBe(reason);
    }
  });

  test('is refused where proofs cannot be used up (R16), and in high, which wants certificates', async () => {
    const token = await bound();
    expect(await outcome(verifierOf('fedramp-high').verify(token, dpop(await proof(token))))).toBe('binding_mismatch');
    const down = verifierOf('fedramp-moderate', { useOnce: () => Promise.reject(new Error('down')) });
    expect(await outcome(down.verify(token, dpop(await proof(token))))).toBe('Error: down');
  });
});

describe('R8: a subject token', () => {
  const subject = (claims: Record<string, unknown>, presented: Presented, over: Partial<TokenVerifierSpec> = {}) =>
    sign(signer, realmClaims(claims)).then((token) =>
      verifierOf(over.profile?.name, over)
        .verifySubject(token, presented)
        .then(
          ({ heldBy }) => heldBy,
          (error: unknown) => (error instanceof TokenRefused ? error.reason : String(error)),
        ),
    );
  const low = { profile: profileNamed('fedramp-low') };
  const mine = { certificateThumbprint: thumbprint, workload: 'portal' };
  const others = { certificateThumbprint: 'B'.repeat(43), workload: 'job' };

  test('from its holder', async () => {
    expect(await subject({}, mine)).toBe('holder');
    expect(await subject({}, others)).toBe('not_the_holder');
    expect(await subject({ aud: 'portal' }, mine)).toBe('wrong_audience');
  });

  test('that Postern minted: only of an issuer whose entry lets its tokens be used here (R1)', async () => {
    const minted = {
      ...{ aud: 'crypto-store', client_id: 'portal', tenant: 'acme', subject_issuer: 'https://realm.example' },
      scope: 'records:read',
    };
    const entry = entryOf(keySet.uri, { kinds: ['postern-access'], tenant: { claim: 'tenant' } });
    const from = (audiences?: string[]) =>
      subject(minted, mine, {
        issuers: [{ ...entry, ...(audiences && { audiences }) }],
        kinds: ['postern-access'],
      });
    expect(await from()).toBe('holder');
    expect(await from(['crypto-store', 'token-exchange'])).toBe('holder');
    expect(await from(['crypto-store'])).toBe('wrong_audience');
  });

  test('from a workload that its aud names; this service’s own name authorises nobody', async () => {
    expect(await subject({ aud: ['token-exchange', 'job'] }, others)).toBe('audience');
    expect(await subject({ aud: ['token-exchange', 'job'] }, { ...others, workload: 'token-exchange' })).toBe(
      'not_the_holder',
    );
    expect(await subject({ aud: ['token-exchange', 'job'] }, {})).toBe('not_the_holder');
  });

  test('with a proof of its key; the token itself is no credential here, so the proof names none', async () => {
    const token = await bound();
    const verified = verifierOf().verifySubject(token, dpop(await proof(null)));
    expect((await verified).heldBy).toBe('holder');
  });

  test('unbound: only in low, and only for a client and workload that an explicit rule pairs', async () => {
    const bearerSubject = (azp: string, workload: string) => azp === 'portal' && workload === 'job';
    expect(await subject({ cnf: undefined }, others, { bearerSubject })).toBe('unbound');
    expect(await subject({ cnf: undefined }, others, { ...low, bearerSubject })).toBe('bearer-rule');
    expect(await subject({ cnf: undefined }, mine, { ...low, bearerSubject })).toBe('not_the_holder');
    expect(await subject({ cnf: undefined, azp: 'other' }, others, { ...low, bearerSubject })).toBe('not_the_holder');
    expect(await subject({ cnf: undefined }, others, low)).toBe('not_the_holder');
  });
});
