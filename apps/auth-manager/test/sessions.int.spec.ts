import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { formOf, type Realm } from '@postern/testing';
import type { Caller } from './caller.ts';
import { consented, portalSession, startConsent, visit } from './consents.ts';
import { openProviderSide, type ProviderSide } from './provider-side.ts';
import { openWorld, PORTAL_PAGE, type Replica, type World } from './world.ts';

let world: World;
let replica: Replica;
let portal: Caller;
let job: Caller;
let side: ProviderSide;

beforeAll(async () => {
  world = await openWorld({ rotation: 'off', adjust: withPageAfterLogout });
  [replica, portal, job] = await Promise.all([world.replica(), world.caller('portal'), world.caller('job')]);
  side = await openProviderSide(world);
});
afterAll(async () => {
  await side.close();
  await world.close();
});

/** Our client may send a browser there after a logout. */
const withPageAfterLogout = (realm: Realm): Realm => ({
  ...realm,
  clients: realm.clients.map((client) =>
    client.clientId === 'auth-manager' ? { ...client, postLogoutRedirectUris: [PORTAL_PAGE] } : client,
  ),
});

type Session = { id: string; provider: string; last_used_at: string | null; grants: { id: string; state: string }[] };
const token = (username = 'alice') => portal.tokenFor(username, ['grants:read', 'grants:write']);
const sessions = async (username = 'alice') => {
  const { body } = await portal.send(`${replica.api}/v1/sessions`, { token: await token(username) });
  return body['sessions'] as Session[];
};
const end = async (path: string, username = 'alice') =>
  portal.send(`${replica.api}/v1/sessions${path}`, { method: 'DELETE', token: await token(username) });
const use = async (grant: string) =>
  job.send(`${replica.api}/v1/grants/${grant}/access-token`, {
    method: 'POST',
    token: await job.ownToken(['grants:use']),
    body: { audience: 'token-exchange' },
  });
const rowOf = async (grant: string) =>
  world.db.selectFrom('grants').selectAll().where('id', '=', grant).executeTakeFirstOrThrow();

test('a person sees each session with its grants and their last use, and nobody else’s', async () => {
  const [one, two] = [await consented(world, portal, replica), await consented(world, portal, replica)];
  const audreys = await consented(world, portal, replica, { username: 'audrey' });
  expect((await use(two)).status).toBe(200);
  const seen = await sessions();
  const holding = (grant: string) => seen.find(({ grants }) => grants.some(({ id }) => id === grant));
  expect(holding(one)).toMatchObject({ provider: world.provider().issuer, last_used_at: null });
  expect(Date.parse(holding(two)?.last_used_at ?? '')).toBeGreaterThan(Date.now() - 60_000);
  expect(holding(audreys)).toBeUndefined();
  // The provider's own id of a session stays inside.
  const { session } = await rowOf(one);
  expect(JSON.stringify(seen)).not.toContain(session);
});

test('an ended session ends its refresh grants, here and at the provider; offline grants by the profile or as the person says', async () => {
  const [kept, dropped] = [await consented(world, portal, replica), await consented(world, portal, replica)];
  const idOf = async (grant: string) =>
    (await sessions()).find(({ grants }) => grants.some(({ id }) => id === grant))?.id ?? '';
  // Moderate: an offline grant outlives its session.
  expect((await end(`/${await idOf(kept)}`)).body).toEqual({ sessions: 1, grants: 0 });
  expect((await use(kept)).status).toBe(200);

  const held = await side.tokenOf(dropped);
  expect((await end(`/${await idOf(dropped)}?offline=end`)).body).toEqual({ sessions: 1, grants: 1 });
  const row = await rowOf(dropped);
  expect([row.state, row.sealed_token]).toEqual(['ended', null]);
  expect(await side.isActive(held)).toBe(false);
  expect((await use(dropped)).body['code']).toBe('grant_ended');
  expect(await idOf(dropped)).toBe('');
  const { revocations } = (await portal.send(`${replica.api}/v1/revocations`)).body as {
    revocations: { target: { kind: string; sessionId?: string; grantId?: string } }[];
  };
  const targets = revocations.map(({ target }) => target.grantId ?? target.sessionId);
  expect(targets).toEqual(expect.arrayContaining([row.session, dropped]));
  for (const id of ['0'.repeat(32), await idOf(kept)]) expect((await end(`/${id}`, 'audrey')).status).toBe(404);
});

test('a session that ends while the provider is away is closed at once, and told later by a round', async () => {
  const grant = await consented(world, portal, replica, { username: 'audrey' });
  const held = await side.tokenOf(grant);
  await world.stopProvider();
  expect((await end('?offline=end', 'audrey')).status).toBe(200);
  expect((await rowOf(grant)).state).toBe('ended');
  expect((await rowOf(grant)).sealed_token).not.toBeNull();
  await world.restartProvider();
  expect(await side.isActive(held)).toBe(true);
  const worker = await world.replica({ POSTERN_PUBLIC_PORT: '0', POSTERN_ROLE: 'worker' });
  for (let looks = 0; looks < 600 && (await rowOf(grant)).sealed_token !== null; looks++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect((await rowOf(grant)).sealed_token).toBeNull();
  expect(await side.isActive(held)).toBe(false);
  await worker.close();
});

test('R15: in high an offline grant ends with its session, by the profile, though the provider did not end its token', async () => {
  const high = await world.replica({
    POSTERN_PUBLIC_PORT: '0',
    POSTERN_PROFILE: 'fedramp-high',
    POSTERN_FIPS: 'false',
  });
  const grant = await consented(world, portal, replica);
  const id = (await sessions()).find(({ grants }) => grants.some((one) => one.id === grant))?.id ?? '';
  const { body } = await portal.send(`${high.api}/v1/sessions/${id}`, { method: 'DELETE', token: await token() });
  expect(body).toEqual({ sessions: 1, grants: 1 });
  await high.close();
});

test('the front-channel link leads to the provider’s own logout, and back only to a listed page', async () => {
  const grant = await consented(world, portal, replica);
  const id = (await sessions()).find(({ grants }) => grants.some((one) => one.id === grant))?.id ?? '';
  const ask = async (query = '') =>
    portal.send(`${replica.api}/v1/sessions/${id}/end-session-link${query}`, { token: await token() });
  const url = new URL(String((await ask(`?return_to=${encodeURIComponent(PORTAL_PAGE)}`)).body['url']));
  expect(url.href.startsWith(`${world.provider().issuer}/protocol/openid-connect/logout?`)).toBe(true);
  expect(Object.fromEntries(url.searchParams)).toEqual({
    client_id: 'auth-manager',
    post_logout_redirect_uri: PORTAL_PAGE,
  });
  expect((await ask('?return_to=https%3A%2F%2Fevil.example')).body['code']).toBe('return_not_listed');
});

test('whoever follows that link is logged out, led back to the page, and the session has ended here', async () => {
  const { browser } = await portalSession(world);
  const { body } = await startConsent(portal, replica);
  const { callback } = await visit(world, String(body['consent_url']), { browser });
  await browser.open(callback.href);
  const [row] = await world.query<{ grant_id: string }>('select grant_id from consents where id = $1', [body['id']]);
  const { session } = await rowOf(String(row?.grant_id));
  const id = (await sessions()).find(({ grants }) => grants.some((one) => one.id === row?.grant_id))?.id ?? '';
  const path = `/v1/sessions/${id}/end-session-link?return_to=${encodeURIComponent(PORTAL_PAGE)}`;
  const link = await portal.send(`${replica.api}${path}`, { token: await token() });

  const asks = await browser.open(String(link.body['url']));
  const form = formOf(asks.text);
  if (!form) throw new Error('the provider asks for nothing');
  const address = new URL(form.action || asks.url, asks.url).href;
  expect((await browser.submit(address, form.fields, PORTAL_PAGE)).location).toBe(PORTAL_PAGE);
  await browser.close();
  const { revocations } = (await portal.send(`${replica.api}/v1/revocations`)).body as {
    revocations: { target: { kind: string; sessionId?: string } }[];
  };
  expect(revocations.map(({ target }) => target)).toContainEqual(
    expect.objectContaining({ kind: 'session', sessionId: session }),
  );
});

test('introspection: a grant token and the provider’s own are told alive, and dead the moment their session or grant ends', async () => {
  const { browser, tokens } = await portalSession(world);
  const accessToken = tokens.accessToken.reveal();
  const ask = (value: string) => side.introspect('portal', replica, value);
  const said = await ask(accessToken);
  expect(said).toMatchObject({ active: true, sub: world.subOf('alice'), azp: 'portal', iss: world.provider().issuer });
  // A stranger to the token learns nothing of it.
  expect(await side.introspect('crypto-store', replica, accessToken)).toEqual({ active: false });

  // R14: the logout is committed here, and the very next question knows, whatever is kept.
  const { body } = await startConsent(portal, replica);
  const { callback } = await visit(world, String(body['consent_url']), { browser });
  await browser.open(callback.href);
  await browser.close();
  await world.provider().logoutUser('alice');
  expect(await ask(accessToken)).toEqual({ active: false });
  for (const other of ['a.b.c', 'opaque', (await side.tokenOf(await consented(world, portal, replica))).reveal()]) {
    expect(await ask(other)).toEqual({ active: false });
  }

  const grant = await consented(world, portal, replica);
  const minted = String((await use(grant)).body['access_token']);
  const ofGrant = (value: string) => side.introspect('token-exchange', replica, value);
  expect(await ofGrant(minted)).toMatchObject({ active: true, grant_id: grant });
  await portal.send(`${replica.api}/v1/grants/${grant}`, { method: 'DELETE', token: await token() });
  expect(await ofGrant(minted)).toEqual({ active: false });
});

// The last: the others read the first page of revocations.
test('all sessions of a person end at once, also more than are listed', async () => {
  const many = 501;
  const who = [world.provider().issuer, world.subOf('admin-ada'), many];
  await world.query(
    `insert into grants (id, tenant, person_issuer, person_sub, provider, client, session, kind, scopes, state, confirmed_at, created_at, updated_at)
      select gen_random_uuid(), 'acme', $1, $2, $1, 'auth-manager', 's' || n, 'offline', '{}', 'reauthorization_required', now(), now(), now()
        from generate_series(1, $3::int) n`,
    who,
  );
  expect((await end('?offline=end', 'admin-ada')).body).toEqual({ sessions: many, grants: many });
  expect(await sessions('admin-ada')).toEqual([]);
});
