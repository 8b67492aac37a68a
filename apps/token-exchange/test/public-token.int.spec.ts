import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { calculateJwkThumbprint, decodeJwt, exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { Agent, request } from 'undici';
import { ACCESS_TOKEN, openWorld, TOKEN_EXCHANGE, type Reply, type World } from './token-exchange.ts';

type Key = { privateKey: CryptoKey; jwk: JWK };
const newKey = async (): Promise<Key> => {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  return { privateKey, jwk: await exportJWK(publicKey) };
};

let world: World;
let agent: Agent;
let client: Key;
let holder: Key;
let jkt: string;

beforeAll(async () => {
  [client, holder] = await Promise.all([newKey(), newKey()]);
  jkt = await calculateJwkThumbprint(holder.jwk);
  world = await openWorld({ clientKeys: { portal: [{ ...client.jwk, kid: 'client', alg: 'ES256', use: 'sig' }] } });
  agent = new Agent({ connect: { ca: await world.postgres.authority.certificate() } });
});
afterAll(async () => {
  await agent.close();
  await world.close();
});

const seconds = () => Math.floor(Date.now() / 1000);

function assertion(over: Record<string, unknown> = {}, by = client, header: Record<string, unknown> = {}) {
  const claims = {
    iss: 'portal',
    sub: 'portal',
    aud: world.issuer,
    jti: randomUUID(),
    iat: seconds(),
    exp: seconds() + 60,
    ...over,
  };
  return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'client', ...header }).sign(by.privateKey);
}

function proof(over: Record<string, unknown> = {}, by = holder) {
  const claims = { jti: randomUUID(), htm: 'POST', htu: `${world.urls.public}/token`, iat: seconds(), ...over };
  return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: by.jwk }).sign(by.privateKey);
}

const alice = (boundToKey = jkt) =>
  world.realm.mint({ audience: 'token-exchange', clientId: 'portal', roles: ['user'], boundToKey });

async function exchange(given: { form?: Record<string, string>; proof?: string | null } = {}): Promise<Reply> {
  const form = {
    grant_type: TOKEN_EXCHANGE,
    subject_token: await alice(),
    subject_token_type: ACCESS_TOKEN,
    audience: 'auth-manager',
    scope: 'grants:read',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await assertion(),
    ...given.form,
  };
  const dpop = given.proof === undefined ? await proof() : given.proof;
  const answer = await request(`${world.urls.public}/token`, {
    dispatcher: agent,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...(dpop === null ? {} : { dpop }) },
    body: new URLSearchParams(form).toString(),
  });
  const text = await answer.body.text();
  const { statusCode: status, headers } = answer;
  return { status, headers, text, body: JSON.parse(text) as Record<string, unknown> };
}

const outcome = async (reply: Promise<Reply>) => {
  const { status, body } = await reply;
  return `${status} ${String(body['error'] ?? 'minted')}`;
};

test('private_key_jwt and a DPoP proof: the token is bound to the proof’s key, and says so', async () => {
  const reply = await exchange();
  expect(reply).toMatchObject({ status: 200, body: { token_type: 'DPoP', scope: 'grants:read' } });
  expect(decodeJwt(String(reply.body['access_token']))).toMatchObject({
    sub: 'alice',
    act: { sub: 'portal' },
    cnf: { jkt },
  });
});

describe('the client', () => {
  test('an assertion that is used twice, expired, too long-lived, for another audience or by another key: 401', async () => {
    const again = await assertion();
    expect(await outcome(exchange({ form: { client_assertion: again } }))).toBe('200 minted');
    const wrong = [
      again,
      await assertion({ exp: seconds() - 1 }),
      await assertion({ exp: seconds() + 3_600 }),
      await assertion({ iat: seconds() + 600 }),
      await assertion({ aud: `${world.issuer}/token` }),
      await assertion({ aud: [world.issuer, 'https://elsewhere.example'] }),
      await assertion({ sub: 'job' }),
      await assertion({ iss: 'job', sub: 'job' }),
      await assertion({ jti: undefined }),
      await assertion({}, await newKey()),
      await assertion({}, client, { kid: 'other' }),
      await assertion({}, client, { typ: 'at+jwt' }),
      await assertion({}, client, { jku: 'https://elsewhere.example' }),
      await alice(),
    ];
    for (const client_assertion of wrong) {
      expect(await outcome(exchange({ form: { client_assertion } }))).toBe('401 invalid_client');
    }
    expect(await outcome(exchange({ form: { client_id: 'job' } }))).toBe('401 invalid_client');
  });
});

describe('the holder (R8)', () => {
  test('no proof, a proof that is used twice, for another request, or by another key than the subject’s', async () => {
    expect(await outcome(exchange({ proof: null }))).toBe('400 invalid_dpop_proof');
    const again = await proof();
    expect(await outcome(exchange({ proof: again }))).toBe('200 minted');
    expect(await outcome(exchange({ proof: again }))).toBe('400 invalid_dpop_proof');
    expect(await outcome(exchange({ proof: await proof({ htm: 'GET' }) }))).toBe('400 invalid_dpop_proof');
    expect(await outcome(exchange({ proof: await proof({ htu: `${world.urls.api}/token` }) }))).toBe(
      '400 invalid_dpop_proof',
    );
    expect(await outcome(exchange({ proof: await proof({}, await newKey()) }))).toBe('400 invalid_request');
  });

  test('a certificate-bound subject is nothing that a key can prove', async () => {
    const bound = { audience: 'token-exchange', clientId: 'portal', roles: ['user'], boundTo: 'T'.repeat(43) };
    expect(await outcome(exchange({ form: { subject_token: await world.realm.mint(bound) } }))).toBe(
      '400 invalid_request',
    );
  });
});
