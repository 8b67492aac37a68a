import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { Agent, request } from 'undici';
import { openWorld, signUpBody, type World } from './world.ts';

let world: World;
let browser: Agent;
let key: { privateKey: CryptoKey; jwk: JWK };

beforeAll(async () => {
  world = await openWorld();
  browser = new Agent({ connect: { ca: world.ca } });
  key = await newKey();
}, 120_000);
afterAll(async () => {
  await browser.close();
  await world.close();
});

async function newKey() {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  return { privateKey, jwk: await exportJWK(publicKey) };
}

/** A DPoP proof (RFC 9449 section 4.2) for a path of the public listener. */
function proof(method: string, path: string, token?: string, by = key): Promise<string> {
  const ath = token === undefined ? {} : { ath: createHash('sha256').update(token).digest('base64url') };
  return new SignJWT({ jti: randomUUID(), htm: method, htu: `${world.urls.public}${path}`, ...ath })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: by.jwk })
    .setIssuedAt()
    .sign(by.privateKey);
}

async function send(method: 'GET' | 'POST', path: string, headers: Record<string, string>, body?: object) {
  const answer = await request(`${world.urls.public}${path}`, {
    dispatcher: browser,
    method,
    headers: { ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
    body: body ? JSON.stringify(body) : null,
  });
  return { status: answer.statusCode, body: (await answer.body.json()) as Record<string, unknown> };
}

test('R17: without a certificate a login needs a DPoP proof, binds its token to that key, and uses the proof up', async () => {
  await send('POST', '/signup', {}, signUpBody('public@foods.example'));
  const credentials = { email: 'public@foods.example', password: 'a long enough password' };
  expect(await send('POST', '/login', {}, credentials)).toMatchObject({
    status: 401,
    body: { code: 'binding_required' },
  });

  const dpop = await proof('POST', '/login');
  const login = await send('POST', '/login', { dpop }, credentials);
  expect(login).toMatchObject({ status: 200, body: { token_type: 'DPoP' } });
  const again = { status: 401, body: { code: 'invalid_dpop_proof' } };
  expect(await send('POST', '/login', { dpop }, credentials)).toMatchObject(again);
  expect(await send('POST', '/login', { dpop: await proof('POST', '/signup') }, credentials)).toMatchObject(again);

  const token = String(login.body['access_token']);
  const path = '/get-all-secrets';
  const list = async (by = key) =>
    send('GET', path, { authorization: `DPoP ${token}`, dpop: await proof('GET', path, token, by) });
  expect(await list()).toEqual({ status: 200, body: { secrets: [], next: null } });
  expect((await list(await newKey())).status).toBe(401);
  expect((await send('GET', path, { authorization: `Bearer ${token}` })).status).toBe(401);
});
