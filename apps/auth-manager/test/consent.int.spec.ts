import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { formOf, linkOf, openHeadlessBrowser } from '@postern/testing/identity-provider';
import { Agent, request } from 'undici';
import type { Caller } from './caller.ts';
import { HANDLE, portalLogin, SCOPES, startConsent, visit } from './consents.ts';
import { openWorld, PORTAL_PAGE, type Replica, type World } from './world.ts';

let world: World;
let replica: Replica;
let portal: Caller;
let anonymous: Agent;

beforeAll(async () => {
  world = await openWorld();
  anonymous = new Agent({ connect: { ca: world.ca } });
  [replica, portal] = await Promise.all([world.replica(), world.caller('portal')]);
});
afterAll(async () => {
  await anonymous.close();
  await world.close();
});

const statusOf = async (id: unknown) =>
  (
    await portal.send(`${replica.api}/v1/consents/${String(id)}`, {
      token: await portal.tokenFor('alice', ['grants:write']),
    })
  ).body;

const stored = async () => Number((await world.query<{ count: string }>('select count(*) from grants'))[0]?.count);

test('R18: a person consents in a browser, and the offline token lies sealed with a handle for the job', async () => {
  const { status, body } = await startConsent(portal, replica);
  expect(status).toBe(201);
  expect(body['consent_url']).toBe(`${world.publicUrl}/v1/consents/${String(body['id'])}/start`);
  expect(await statusOf(body['id'])).toMatchObject({ state: 'pending', grant: null });

  const { browser, callback } = await visit(world, String(body['consent_url']));
  expect(await statusOf(body['id'])).toMatchObject({ state: 'started' });
  const page = await browser.open(callback.href);
  expect([page.status, page.text]).toEqual([200, expect.stringContaining('Access granted')]);
  expect([...browser.cookies.keys()].filter((name) => name.startsWith('__Host-'))).toEqual([]);
  await browser.close();

  const done = await statusOf(body['id']);
  expect(done).toMatchObject({ state: 'completed', scopes: SCOPES, handle: HANDLE });
  const grant = await world.db
    .selectFrom('grants')
    .selectAll()
    .where('id', '=', String(done['grant']))
    .executeTakeFirstOrThrow();
  expect(grant).toMatchObject({ tenant: 'acme', kind: 'offline', client: 'auth-manager', state: 'active', acr: '1' });
  expect(Buffer.from(grant.sealed_token ?? []).toString('latin1')).not.toMatch(/eyJ[\w-]{10}/);
});

test('the browser goes back to a page that its client has listed, and to no other', async () => {
  const refused = await startConsent(portal, replica, { return_to: `${PORTAL_PAGE}/other` });
  expect([refused.status, refused.body['code']]).toEqual([400, 'return_not_listed']);
  const { body } = await startConsent(portal, replica, { return_to: PORTAL_PAGE });
  const { browser, callback } = await visit(world, String(body['consent_url']));
  const { location } = await browser.open(callback.href, 'https://portal.example.com');
  expect(location).toBe(`${PORTAL_PAGE}?consent=${String(body['id'])}&outcome=completed`);
  await browser.close();
});

test('one grant per person, provider, client and session: a second consent in the same login renews it', async () => {
  const [one, two] = [await startConsent(portal, replica), await startConsent(portal, replica)];
  const browser = await portalLogin(world);
  await browser.open((await visit(world, String(one.body['consent_url']), { browser })).callback.href);
  const first = String((await statusOf(one.body['id']))['grant']);
  await browser.open((await visit(world, String(two.body['consent_url']), { browser })).callback.href);
  await browser.close();
  expect((await statusOf(two.body['id']))['grant']).toBe(first);
  const { generation } = await world.db
    .selectFrom('grants')
    .select('generation')
    .where('id', '=', first)
    .executeTakeFirstOrThrow();
  expect(generation).toBe('2');
});

test('R18: another person who opens the link gets nothing stored, and the tokens are revoked at the provider', async () => {
  const before = await stored();
  const { body } = await startConsent(portal, replica, { return_to: PORTAL_PAGE });
  const { browser, callback } = await visit(world, String(body['consent_url']), { username: 'audrey' });
  const page = await browser.open(callback.href);
  await browser.close();
  expect([page.status, page.text]).toEqual([403, expect.stringContaining('somebody else')]);
  expect(await statusOf(body['id'])).toMatchObject({ state: 'failed', reason: 'other_person', grant: null });
  expect(await stored()).toBe(before);
});

test('only a person of our provider may start a consent, and a handle stays within it', async () => {
  const body = { scopes: SCOPES, handle: HANDLE };
  const post = async (token: string, over: object = {}) => {
    const { status, body: answer } = await portal.send(`${replica.api}/v1/consents`, {
      method: 'POST',
      token,
      body: { ...body, ...over },
    });
    return [status, answer['code']];
  };
  expect(await post(await portal.ownToken(['grants:write']))).toEqual([403, 'person_required']);
  const elsewhere = await portal.tokenFor('alice', ['grants:write'], { subjectIssuer: 'https://other.example' });
  expect(await post(elsewhere)).toEqual([403, 'other_provider']);
  const alice = await portal.tokenFor('alice', ['grants:write']);
  const wide = { handle: { ...HANDLE, scopes: ['secrets:read'] } };
  expect(await post(alice, wide)).toEqual([400, 'handle_exceeds_consent']);
  const stranger = { handle: { ...HANDLE, workload: 'stranger' } };
  expect(await post(alice, stranger)).toEqual([400, 'handle_workload_unknown']);
});

test('a consent is seen by the person and the client that started it, and by nobody else', async () => {
  const { body } = await startConsent(portal, replica);
  const at = `${replica.api}/v1/consents/${String(body['id'])}`;
  const job = await world.caller('job');
  const absent = await portal.send(`${replica.api}/v1/consents/${crypto.randomUUID()}`, {
    token: await portal.tokenFor('alice', ['grants:write']),
  });
  for (const [caller, username] of [
    [portal, 'audrey'],
    [job, 'alice'],
  ] as const) {
    const answer = await caller.send(at, { token: await caller.tokenFor(username, ['grants:write']) });
    expect(answer.status).toBe(404);
    expect({ ...answer.body, request: '' }).toEqual({ ...absent.body, request: '' });
  }
});

test('a create that is sent again under its Idempotency-Key makes one consent', async () => {
  const token = await portal.tokenFor('alice', ['grants:write']);
  const headers = { 'idempotency-key': crypto.randomUUID() };
  const post = (scopes: string[]) =>
    portal.send(`${replica.api}/v1/consents`, {
      method: 'POST',
      token,
      headers,
      body: { scopes, handle: { ...HANDLE, scopes: ['records:read'] } },
    });
  const [one, two] = await Promise.all([post(SCOPES), post(SCOPES)]);
  expect([one.status, two.status]).toEqual([201, 201]);
  expect(two.body).toEqual(one.body);
  const other = await post(['records:read']);
  expect([other.status, other.body['code']]).toEqual([422, 'idempotency_key_reused']);
});

test('R17, R18: the page shows who asks, for what and which scopes, escaped, without a script, and changes nothing', async () => {
  const purpose = 'Nightly reports & <b>more</b>';
  const { body } = await startConsent(portal, replica, { purpose });
  const link = String(body['consent_url']);
  const [browser, stranger] = [openHeadlessBrowser({ ca: world.ca }), openHeadlessBrowser({ ca: world.ca })];
  const page = await browser.open(link);
  expect(page.status).toBe(200);
  for (const shown of [
    'portal',
    'job',
    'crypto-store',
    'records:read',
    'Nightly reports &amp; &lt;b&gt;more&lt;/b&gt;',
  ]) {
    expect(page.text).toContain(shown);
  }
  expect(page.text).not.toMatch(/<script|<b>|\son\w+=/);
  const { headers } = await request(link, { dispatcher: anonymous });
  const policy = String(headers['content-security-policy']);
  expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[\w+/]+=*';/);
  for (const part of ["frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"])
    expect(policy).toContain(part);
  expect(policy).not.toContain('unsafe');
  expect(headers['x-frame-options']).toBe('DENY');

  // Whoever fetches the link ahead of the person spoils nothing; whoever knows only the address gets no further.
  await stranger.open(link);
  const onward = new URL(linkOf(page.text, 'continue') ?? '', link);
  expect(await statusOf(body['id'])).toMatchObject({ state: 'pending', purpose });
  expect((await stranger.open(onward.href)).status).toBe(404);
  const decline = { token: onward.searchParams.get('token') ?? '' };
  expect((await stranger.submit(link.replace('/start', '/decline'), decline)).status).toBe(404);
  expect(await statusOf(body['id'])).toMatchObject({ state: 'pending' });
  const { location } = await browser.open(onward.href);
  expect(location).toContain(world.provider().issuer);
  expect(await statusOf(body['id'])).toMatchObject({ state: 'started' });
  await Promise.all([browser.close(), stranger.close()]);
});

test('a person who declines on the page is believed without the provider, and finds the way back', async () => {
  const { body } = await startConsent(portal, replica, { return_to: PORTAL_PAGE });
  const browser = openHeadlessBrowser({ ca: world.ca });
  const page = await browser.open(String(body['consent_url']));
  const form = formOf(page.text);
  const done = await browser.submit(new URL(form?.action ?? '', page.url).href, form?.fields ?? {});
  expect([done.status, done.text]).toEqual([200, expect.stringContaining('You declined')]);
  expect(done.text).toContain(`${PORTAL_PAGE}?consent=${String(body['id'])}&amp;outcome=denied`);
  expect(await statusOf(body['id'])).toMatchObject({ state: 'denied', reason: 'access_denied' });
  expect((await browser.open(String(body['consent_url']))).status).toBe(404);
  await browser.close();
});

test('a purpose is one line of plain text, and nothing hides in it', async () => {
  for (const purpose of ['', 'x'.repeat(281), 'two\nlines', 'turned \u202eround', 'nul\u0000']) {
    const { status, body } = await startConsent(portal, replica, { purpose });
    expect([status, body['code']]).toEqual([400, 'invalid_input']);
  }
});

test('a long poll answers when the consent moves on, and a stream tells each step once, also after it was resumed', async () => {
  const { body } = await startConsent(portal, replica);
  const token = await portal.tokenFor('alice', ['grants:write']);
  const at = `${replica.api}/v1/consents/${String(body['id'])}`;
  // Whoever goes on before the stream has begun leaves it without its first step.
  const open = Promise.withResolvers<void>();
  const stream = portal.text(`${at}/events`, { token, begun: () => open.resolve() });
  await Promise.race([open.promise, stream]);
  const started = portal.send(`${at}?wait=30`, { token });
  const { browser, callback } = await visit(world, String(body['consent_url']));
  expect((await started).body).toMatchObject({ state: 'started' });
  const completed = portal.send(`${at}?wait=30`, { token });
  await browser.open(callback.href);
  await browser.close();
  expect((await completed).body).toMatchObject({ state: 'completed' });
  // What is over is answered at once, however long one would wait.
  expect((await portal.send(`${at}?wait=30`, { token })).body).toMatchObject({ state: 'completed' });
  const steps = (text: string) =>
    [...text.matchAll(/^id: (\d)\nevent: (\w+)$/gm)].map(([, id, event]) => `${id} ${event}`);
  expect(steps(await stream)).toEqual(['1 pending', '2 started', '3 completed']);
  const resumed = await portal.text(`${at}/events`, { token, headers: { 'last-event-id': '2' } });
  expect(steps(resumed)).toEqual(['3 completed']);
  expect(steps(await portal.text(`${at}/events`, { token, headers: { 'last-event-id': '3' } }))).toEqual([]);
  expect((await portal.send(`${at}?wait=31`, { token })).status).toBe(400);
});

test('a replica that stops answers those who wait at once, and ends their streams', async () => {
  const stopping = await world.replica({ POSTERN_PUBLIC_PORT: '0' });
  const { body } = await startConsent(portal, stopping);
  const token = await portal.tokenFor('alice', ['grants:write']);
  const at = `${stopping.api}/v1/consents/${String(body['id'])}`;
  const open = Promise.withResolvers<void>();
  const begun = () => open.resolve();
  const waiting = [portal.send(`${at}?wait=30`, { token }), portal.text(`${at}/events`, { token, begun })] as const;
  // The one that was asked first is waiting too.
  await open.promise;
  const began = performance.now();
  await Promise.all([stopping.close(), ...waiting]);
  expect((await waiting[0]).body).toMatchObject({ state: 'pending' });
  expect(await waiting[1]).toContain('event: pending');
  expect(performance.now() - began).toBeLessThan(25_000);
});
