import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { generateKeyPair, type CryptoKey } from 'jose';
import { Agent, request } from 'undici';
import type { Caller } from './caller.ts';
import { consented, portalLogin, startConsent, visit } from './consents.ts';
import { startWrittenProvider } from './written-provider.ts';
import { openWorld, type Replica, type World } from './world.ts';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';

let world: World;
let replica: Replica;
let portal: Caller;
let job: Caller;
const closes: (() => unknown)[] = [];

beforeAll(async () => {
  world = await openWorld({ rotation: 'off' });
  [replica, portal, job] = await Promise.all([world.replica(), world.caller('portal'), world.caller('job')]);
});
afterAll(async () => {
  for (const close of closes.toReversed()) await close();
  await world.close();
});

const stateOf = async (grant: string) =>
  (await world.query<{ state: string }>('select state from grants where id = $1', [grant]))[0]?.state;

test('R15: when the person is logged out at the provider, the grants of that login end, and no others', async () => {
  const { body } = await startConsent(portal, replica);
  const browser = await portalLogin(world);
  const { callback } = await visit(world, String(body['consent_url']), { browser });
  await browser.open(callback.href);
  await browser.close();
  const [ofAudrey, elsewhere] = [
    await consented(world, portal, replica, { username: 'audrey' }),
    await consented(world, portal, replica),
  ];
  const rows = await world.query<{ grant_id: string }>('select grant_id from consents where id = $1', [body['id']]);
  const grant = String(rows[0]?.grant_id);
  await world.provider().logoutUser('alice');
  expect(world.provider().logoutDeliveries).toContainEqual({ clientId: 'portal', status: 200 });
  expect(await Promise.all([grant, ofAudrey, elsewhere].map(stateOf))).toEqual(['ended', 'active', 'active']);
  const { revocations } = (await portal.send(`${replica.api}/v1/revocations`)).body as {
    revocations: { target: { kind: string; grantId?: string } }[];
  };
  const targets = revocations.map(({ target }) => target);
  expect(targets.filter(({ kind }) => kind === 'grant').map(({ grantId }) => grantId)).toEqual([grant]);
  expect(targets.map(({ kind }) => kind)).toContain('session');
});

test('R15: a logout token counts once, and only when everything about it is right', async () => {
  const provider = await startWrittenProvider(world);
  closes.push(provider.close);
  const { issuer } = provider;
  const other = await world.replica({ POSTERN_PUBLIC_PORT: '0', POSTERN_OIDC_ISSUER: issuer });
  const agent = new Agent({ connect: { ca: world.ca } });
  closes.push(() => agent.close());
  const stranger = await generateKeyPair('ES256');
  const session = crypto.randomUUID();
  await world.query(
    `insert into grants (id, tenant, person_issuer, person_sub, provider, client, session, kind, scopes, sealed_token,
       token_fingerprint, confirmed_at, created_at, updated_at)
     select gen_random_uuid(), 'acme', $1, 'alice', $1, 'auth-manager', $2, kind, '{}', '\\x00', '\\x00', now(), now(), now()
     from (values ('offline'), ('refresh')) kinds (kind)`,
    [issuer, session],
  );
  const states = async () =>
    (
      await world.query<{ kind: string; state: string }>(
        'select kind, state from grants where session = $1 order by kind',
        [session],
      )
    ).map(({ state }) => state);

  const post = async (claims: object, header: { by?: CryptoKey; typ?: string } = {}) =>
    send(await provider.logoutToken({ sid: session, ...claims }, header));
  const send = async (token: string) => {
    const { statusCode, body } = await request(`${other.public}/v1/backchannel-logout`, {
      dispatcher: agent,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ logout_token: token }).toString(),
    });
    await body.dump();
    return statusCode;
  };

  const wrong: [string, Promise<number>][] = [
    ['typ', post({}, { typ: 'JWT' })],
    ['another key', post({}, { by: stranger.privateKey })],
    ['issuer', post({ iss: 'https://other.example' })],
    ['audience', post({ aud: 'somebody' })],
    ['no events', post({ events: undefined })],
    ['another event', post({ events: { other: {} } })],
    ['a nonce', post({ nonce: 'n' })],
    ['no jti', post({ jti: undefined })],
    ['neither sub nor sid', post({ sub: undefined, sid: undefined })],
    ['expired', post({ iat: 1_700_000_000, exp: 1_700_000_120 })],
    ['too old', post({ iat: Math.floor(Date.now() / 1000) - 3_600 })],
    ['garbage', send('a.b.c')],
  ];
  for (const [what, status] of wrong) expect([what, await status]).toEqual([what, 400]);
  expect(await states()).toEqual(['active', 'active']);

  const jti = crypto.randomUUID();
  expect(await post({ jti })).toBe(200);
  expect(await states()).toEqual(['active', 'ended']);
  expect(await post({ jti })).toBe(400);
  expect(await post({ events: { [EVENT]: {}, revoke_offline_access: true } })).toBe(200);
  expect(await states()).toEqual(['ended', 'ended']);
});

test('R15: an ended grant is closed to its handles, and its owner sees it', async () => {
  const grant = await consented(world, portal, replica);
  await world.query("update grants set state = 'ended', sealed_token = null, token_fingerprint = null where id = $1", [
    grant,
  ]);
  const token = await job.ownToken(['grants:use']);
  const used = await job.send(`${replica.api}/v1/grants/${grant}/access-token`, {
    method: 'POST',
    token,
    body: { audience: 'token-exchange' },
  });
  expect([used.status, used.body['code']]).toEqual([409, 'grant_ended']);
  const seen = await portal.send(`${replica.api}/v1/grants/${grant}`, {
    token: await portal.tokenFor('alice', ['grants:read']),
  });
  expect(seen.body['state']).toBe('ended');
});
