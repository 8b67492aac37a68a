import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { generateKeyPair, UnsecuredJWT, type CryptoKey } from 'jose';
import { Agent, request } from 'undici';
import type { Caller } from './caller.ts';
import { startConsent, visit } from './consents.ts';
import { startWrittenProvider } from './written-provider.ts';
import { openWorld, type Replica, type World } from './world.ts';

let world: World;
let replica: Replica;
let portal: Caller;
let anonymous: Agent;
const closes: (() => unknown)[] = [];

beforeAll(async () => {
  world = await openWorld({ rotation: 'off' });
  anonymous = new Agent({ connect: { ca: world.ca } });
  [replica, portal] = await Promise.all([world.replica(), world.caller('portal')]);
});
afterAll(async () => {
  for (const close of closes.toReversed()) await close();
  await anonymous.close();
  await world.close();
});

/** One line a row, as in the assurance table. */
const report = (row: string, figures: Record<string, number>): void =>
  void process.stderr.write(
    `    ${row}: ${Object.entries(figures)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}\n`,
  );
const stored = async () => Number((await world.query<{ count: string }>('select count(*) from grants'))[0]?.count);

test('R16, R18: no forged, replayed or borrowed state, and no page token of another browser, leads anywhere', async () => {
  const before = await stored();
  const { body } = await startConsent(portal, replica);
  const { browser, callback } = await visit(world, String(body['consent_url']));
  const right = callback.searchParams.get('state') ?? '';
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  const load = async (state: string, cookies: string) => {
    const url = new URL(callback);
    url.searchParams.set('state', state);
    const { statusCode, body: page } = await request(url, { dispatcher: anonymous, headers: { cookie: cookies } });
    await page.dump();
    return statusCode;
  };
  const flipped = Array.from({ length: 24 }, (_, at) => {
    const bytes = Buffer.from(right, 'base64url');
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
    return [bytes.toString('base64url'), cookie] as const;
  });
  const random = Array.from({ length: 24 }, () => [randomBytes(32).toString('base64url'), cookie] as const);
  // The right state, in a browser that has no cookie of the consent, another's, or one of no shape.
  const borrowed = ['', cookie.replace(/=[\w-]{43}/g, `=${randomBytes(32).toString('base64url')}`), 'x=y'].map(
    (other) => [right, other] as const,
  );
  const attacks = [...flipped, ...random, ...borrowed];
  const statuses = await Promise.all(attacks.map(([state, cookies]) => load(state, cookies)));
  const accepted = statuses.filter((status) => status !== 404 && status !== 429).length;
  report('state forged or borrowed', { tried: attacks.length, accepted });
  expect(accepted).toBe(0);
  expect(await stored()).toBe(before);

  // And the person is not kept from going on by any of them; of many loads at once one counts.
  const loads = await Promise.all(Array.from({ length: 16 }, () => load(right, cookie)));
  const won = loads.filter((status) => status === 200).length;
  report('state replayed at once', { tried: loads.length, accepted: won });
  expect(won).toBe(1);
  expect(await stored()).toBe(before + 1);
  await browser.close();
});

test('R18: a consent link in other people’s hands stores nothing, and leaves nothing alive at the provider', async () => {
  const before = await stored();
  const people = ['audrey', 'admin-ada'] as const;
  let kept = 0;
  for (const username of people) {
    const { body } = await startConsent(portal, replica);
    const { browser, callback } = await visit(world, String(body['consent_url']), { username });
    expect((await browser.open(callback.href)).status).toBe(403);
    await browser.close();
    kept += (await stored()) - before;
  }
  report('link handed to another person', { tried: people.length, stored: kept });
  expect(kept).toBe(0);
});

test('R15: no forged, altered or misdirected logout token ends a grant, and a good one counts once', async () => {
  const provider = await startWrittenProvider(world);
  closes.push(provider.close);
  const { issuer } = provider;
  const other = await world.replica({ POSTERN_PUBLIC_PORT: '0', POSTERN_OIDC_ISSUER: issuer });
  const stranger = await generateKeyPair('ES256');
  const session = crypto.randomUUID();
  await world.query(
    `insert into grants (id, tenant, person_issuer, person_sub, provider, client, session, kind, scopes, sealed_token,
       token_fingerprint, confirmed_at, created_at, updated_at)
     values (gen_random_uuid(), 'acme', $1, 'alice', $1, 'auth-manager', $2, 'refresh', '{}', '\\x00', '\\x00', now(), now(), now())`,
    [issuer, session],
  );
  const sign = (claims: object = {}, header: { by?: CryptoKey; typ?: string } = {}) =>
    provider.logoutToken({ sid: session, ...claims }, header);
  const send = async (token: string) => {
    const { statusCode, body } = await request(`${other.public}/v1/backchannel-logout`, {
      dispatcher: anonymous,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ logout_token: token }).toString(),
    });
    await body.dump();
    return statusCode;
  };
  const good = await sign();
  const [head = '', payload = '', signature = ''] = good.split('.');
  // Every byte of the signature, and as many of the claims, with one bit turned.
  const turned = (text: string, at: number) => {
    const bytes = Buffer.from(text, 'base64url');
    bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ (1 << (at % 8));
    return bytes.toString('base64url');
  };
  const altered = Array.from({ length: 64 }, (_, at) => [
    [head, payload, turned(signature, at)].join('.'),
    [head, turned(payload, at * 3), signature].join('.'),
  ]).flat();
  const none = `${Buffer.from(JSON.stringify({ alg: 'none', typ: 'logout+jwt' })).toString('base64url')}.${payload}.`;
  const forged = await Promise.all([
    sign({}, { by: stranger.privateKey }),
    sign({ aud: 'somebody-else' }),
    sign({ aud: ['somebody', 'else'] }),
    sign({ iss: `${issuer}/` }),
    sign({ iss: 'https://other.example' }),
    sign({}, { typ: 'JWT' }),
    sign({}, { typ: 'at+jwt' }),
    sign({ nonce: 'n' }),
    sign({ events: {} }),
    sign({ exp: 1 }),
  ]);
  const attacks = [...altered, none, ...forged];
  const statuses = await Promise.all(attacks.map(send));
  const accepted = statuses.filter((status) => status < 400).length;
  report('logout token forged, altered or for another client', { tried: attacks.length, accepted });
  expect(accepted).toBe(0);
  const state = async () =>
    (await world.query<{ state: string }>('select state from grants where session = $1', [session]))[0]?.state;
  expect(await state()).toBe('active');

  const replays = await Promise.all(Array.from({ length: 20 }, () => send(good)));
  const counted = replays.filter((status) => status === 200).length;
  report('logout token replayed at once', { tried: replays.length, accepted: counted });
  expect(counted).toBe(1);
  expect(await state()).toBe('ended');
});

test('R9: a refresh token that is bound to a certificate is not stored, whoever holds that certificate', async () => {
  const { thumbprint: others } = await world.authority.issue('job');
  const { thumbprint: ours } = await world.authority.issue('auth-manager');
  const bound = { cnf: {} as object };
  // Read by nobody but the provider, who says what it is bound to; and one that says so itself.
  const provider = await startWrittenProvider(world, {}, { introspect: () => said() });
  closes.push(provider.close);
  const { issuer } = provider;
  const alice = world.subOf('alice');
  const said = () => ({
    ...{ active: true, client_id: 'auth-manager', iss: issuer, sub: alice, sid: 's', typ: 'Offline' },
    ...bound,
  });
  const other = await world.replica({ POSTERN_PUBLIC_PORT: '0', POSTERN_OIDC_ISSUER: issuer });
  const token = await portal.tokenFor('alice', ['grants:write'], { subjectIssuer: issuer });
  const before = await stored();
  const store = async (refresh: string, cnf: object) => {
    bound.cnf = cnf;
    const body = { refresh_token: refresh, scopes: ['records:read'] };
    const { status, body: answer } = await portal.send(`${other.api}/v1/grants`, { method: 'POST', token, body });
    return [status, answer['code'] ?? null];
  };
  const readable = new UnsecuredJWT({ cnf: { 'x5t#S256': others } }).encode();
  const attacks = [
    ['an-opaque-refresh-token', { 'x5t#S256': others }],
    ['an-opaque-refresh-token', { 'x5t#S256': ours }],
    ['an-opaque-refresh-token', { 'x5t#S256': others, jkt: 'x' }],
    [readable, {}],
  ] as const;
  const answers: unknown[] = [];
  for (const [refresh, cnf] of attacks) answers.push(await store(refresh, cnf));
  report('certificate-bound refresh token stored', { tried: attacks.length, accepted: (await stored()) - before });
  expect(answers).toEqual(attacks.map(() => [400, 'certificate_bound_token']));
  expect(await stored()).toBe(before);
  // Bound to a key, or to nothing, it is taken: the refusal was for the certificate alone.
  expect(await store('an-opaque-refresh-token', { jkt: 'x' })).toEqual([201, null]);
});

test('a token that is bound to one certificate opens nothing over the connection of another', async () => {
  const job = await world.caller('job');
  const before = await stored();
  const asPortal = await portal.tokenFor('alice', ['grants:read', 'grants:write', 'grants:use']);
  const asJob = await job.ownToken(['grants:use']);
  const body = { audience: 'token-exchange' };
  const use = `${replica.api}/v1/grants/${crypto.randomUUID()}/access-token`;
  const answers = [
    await job.send(`${replica.api}/v1/grants`, { token: asPortal }),
    await job.send(use, { method: 'POST', token: asPortal, body }),
    await portal.send(use, { method: 'POST', token: asJob, body }),
    await job.send(`${replica.api}/v1/grants`, { method: 'POST', token: asPortal, body: { refresh_token: 'x' } }),
  ];
  const accepted = answers.filter(({ status }) => status !== 401).length;
  report('token over another certificate', { tried: answers.length, accepted });
  expect(answers.map(({ status, body: said }) => [status, said['code']])).toEqual(
    answers.map(() => [401, 'invalid_token']),
  );
  expect(await stored()).toBe(before);
});
