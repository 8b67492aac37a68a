import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify, type JSONWebKeySet } from 'jose';
import { Agent, request } from 'undici';
import { developmentCa, testIssuer, type MintOptions, type TestIssuer } from '../src/index.ts';

let issuer: TestIssuer;
let agent: Agent;
beforeAll(async () => {
  issuer = await testIssuer();
  agent = new Agent({ connect: { ca: await developmentCa().certificate() } });
});
afterAll(async () => {
  await agent.close();
  await issuer.close();
});

const keySet = async () => {
  const { body } = await request(issuer.entry.jwksUri, { dispatcher: agent });
  return (await body.json()) as JSONWebKeySet;
};
const verified = async (token: string) =>
  (await jwtVerify(token, createLocalJWKSet(await keySet()), { issuer: issuer.entry.issuer, typ: 'at+jwt' })).payload;
const mint = (options: Partial<MintOptions> = {}) => issuer.mint({ audience: 'crypto-store', ...options });

test('a token carries every claim that a Postern token has, and verifies with the served keys (R3, R7)', async () => {
  const boundTo = (await developmentCa().issue('job')).thumbprint;
  const claims = await verified(await mint({ scopes: ['records:read'], actors: ['key-proxy', 'job'], boundTo }));
  expect(claims).toEqual({
    iss: issuer.entry.issuer,
    sub: 'alice',
    aud: 'crypto-store',
    iat: expect.any(Number),
    exp: claims.iat! + 300,
    jti: expect.any(String),
    client_id: 'job',
    tenant: 'acme',
    subject_issuer: expect.stringMatching(/^https:/),
    scope: 'records:read',
    cnf: { 'x5t#S256': boundTo },
    act: { sub: 'key-proxy', act: { sub: 'job' } },
  });
});

test('a rotation signs with a new key, and the tokens before still verify', async () => {
  const before = await mint();
  await issuer.rotate();
  const after = await mint();
  expect(decodeProtectedHeader(after).kid).not.toBe(decodeProtectedHeader(before).kid);
  await verified(before);
  await verified(after);
});

test('a spec can mint what must be refused', async () => {
  await expect(verified(await mint({ lifetimeSeconds: -60 }))).rejects.toMatchObject({ code: 'ERR_JWT_EXPIRED' });
  expect(decodeProtectedHeader(await mint({ typ: 'logout+jwt' })).typ).toBe('logout+jwt');
  const { aud, jti } = await verified(await mint({ claims: { aud: 'key-proxy', jti: undefined } }));
  expect({ aud, jti }).toEqual({ aud: 'key-proxy', jti: undefined });
});
