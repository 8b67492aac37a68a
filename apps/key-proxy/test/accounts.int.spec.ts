import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Caller } from './caller.ts';
import { openWorld, signUpBody, type World } from './world.ts';

let world: World;
let portal: Caller;
let job: Caller;
/** How far the service's clock is ahead, in milliseconds. */
const clock = { ahead: 0 };

beforeAll(async () => {
  world = await openWorld({ now: () => new Date(Date.now() + clock.ahead) });
  [portal, job] = await Promise.all([world.caller('portal'), world.caller('job')]);
}, 120_000);
afterAll(() => world.close());

const password = 'a long enough password';
const signUp = (email: string, more: object = {}) =>
  portal.send('POST', `${world.url}/signup`, { body: signUpBody(email, more) });
const logIn = (email: string, given = password, caller = portal) =>
  caller.send('POST', `${world.url}/login`, { body: { email, password: given } });
const claimsOf = (token: unknown) =>
  JSON.parse(Buffer.from(String(token).split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;

test('R2: each company is a tenant of its own under a random id, also two of one name; its first account administers it', async () => {
  const [first, second] = await Promise.all([signUp('first@foods.example'), signUp('second@foods.example')]);
  for (const { status, body } of [first, second]) {
    expect(status).toBe(201);
    expect(body).toMatchObject({
      status: 'created',
      role: 'admin',
      company_id: expect.stringMatching(/^kp_[0-9a-f]{32}$/),
    });
  }
  expect(first.body['company_id']).not.toBe(second.body['company_id']);
});

test('R17: a login gives a token for this service, bound to the certificate it came over; another certificate cannot use it', async () => {
  const { body: account } = await signUp('Login@Foods.example ');
  const { status, body } = await logIn('login@foods.example');
  expect({ status, type: body['token_type'], scope: body['scope'] }).toEqual({
    status: 200,
    type: 'Bearer',
    scope:
      'secrets:read secrets:write secrets:use secrets:delete account:manage secrets:configure secrets:audit accounts:manage',
  });
  expect(claimsOf(body['access_token'])).toMatchObject({
    iss: world.issuerUrl,
    aud: 'key-proxy',
    sub: account['account_id'],
    tenant: account['company_id'],
    subject_issuer: world.issuerUrl,
    client_id: 'portal',
    cnf: { 'x5t#S256': portal.thumbprint },
  });
  const token = String(body['access_token']);
  expect((await portal.send('GET', `${world.url}/get-all-secrets`, { token })).status).toBe(200);
  expect((await job.send('GET', `${world.url}/get-all-secrets`, { token })).status).toBe(401);
});

test('an unknown address and a wrong password are answered alike, and locked alike after the profile’s three failures', async () => {
  await signUp('locked@foods.example');
  const told: unknown[] = [];
  for (const email of ['locked@foods.example', 'nobody@foods.example']) {
    const answers = [];
    for (let attempt = 0; attempt < 4; attempt += 1) answers.push(await logIn(email, 'a wrong password'));
    told.push(answers.map(({ status, body, headers }) => [status, { ...body, request: '' }, headers['retry-after']]));
  }
  expect(told[0]).toEqual(told[1]);
  expect((told[0] as unknown[][]).map(([status]) => status)).toEqual([401, 401, 401, 429]);
  expect((await logIn('locked@foods.example')).status).toBe(429);

  clock.ahead += 31 * 60_000;
  expect((await logIn('locked@foods.example')).status).toBe(200);
  expect((await logIn('locked@foods.example', 'a wrong password')).status).toBe(401);
});

test('R16: attempts at the same time do not get past the limit', async () => {
  await signUp('parallel@foods.example');
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => logIn('parallel@foods.example', 'a wrong password')),
  );
  const statuses = answers.map(({ status }) => status).sort();
  expect(statuses).toEqual([401, 401, 401, 429, 429, 429, 429, 429]);
});

test('a sign-up for an address that has an account is answered as any other, makes nothing, and stands in the log as that account’s', async () => {
  const first = await signUp('taken@foods.example');
  const counted = `select (select count(*) from accounts) a, (select count(*) from companies) c, (select count(*) from providers) p`;
  const before = await world.rows(counted);
  const again = await signUp('TAKEN@foods.example', { password: 'another long password' });
  expect(again).toMatchObject({ status: 201, body: { status: 'created', role: 'admin' } });
  const shape = (value: unknown) => JSON.stringify(value).replace(/[0-9a-f]/g, '0');
  expect(shape(again.body)).toBe(shape(first.body));
  expect(Object.keys(again.headers).sort()).toEqual(Object.keys(first.headers).sort());
  expect(again.body['company_id']).not.toBe(first.body['company_id']);
  expect(await world.rows(counted)).toEqual(before);
  expect((await logIn('taken@foods.example', 'another long password')).status).toBe(401);
  const [refused] = await world.rows<{ event: string }>(
    `select convert_from(canonical, 'utf8') as event from audit_outbox where action = 'account.created' order by id desc limit 1`,
  );
  expect(JSON.parse(refused?.event ?? '{}')).toMatchObject({
    outcome: 'refused',
    reason: 'account_exists',
    tenant: first.body['company_id'],
    resource: { id: first.body['account_id'] },
  });
});

test('a sign-up that cannot be kept creates nothing: a short password, a provider that is not there', async () => {
  const before = await world.rows<{ count: string }>('select count(*) from companies');
  expect(await signUp('short@foods.example', { password: 'elevenchars' })).toMatchObject({ status: 400 });
  const aws = { kms_selection: 'aws', kms_credentials: { access_key: 'a', secret_key: 'b' } };
  expect(await signUp('cloud@foods.example', aws)).toMatchObject({
    status: 422,
    body: { code: 'provider_unavailable' },
  });
  expect(await world.rows('select count(*) from companies')).toEqual(before);
});

test('an administrator configures only a provider that works here: another one is refused, and what was set stays', async () => {
  await signUp('admin@foods.example');
  const { body } = await logIn('admin@foods.example');
  const token = String(body['access_token']);
  const configure = (kms_selection: string) =>
    portal.send('POST', `${world.url}/configure-kms`, { token, body: { kms_selection, kms_credentials: {} } });
  expect(await configure('crypto-store')).toMatchObject({ status: 200, body: { kms_selection: 'crypto-store' } });
  for (const cloud of ['aws', 'azure', 'gcp']) {
    expect(await configure(cloud)).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
  }
});

test('every change has its event: account, login, failure, provider', async () => {
  await signUp('events@foods.example');
  await logIn('events@foods.example', 'a wrong password');
  await logIn('events@foods.example');
  const rows = await world.rows<{ action: string }>('select action from audit_outbox');
  const actions = new Set(rows.map(({ action }) => action));
  expect([...actions]).toEqual(
    expect.arrayContaining(['account.created', 'login.failed', 'login.succeeded', 'provider.configured']),
  );
});

test('no password, address or token is in the log, and no password in the database', async () => {
  const { body } = await signUp('canary@foods.example', { password: 'canary-password-9f2' }).then(() =>
    logIn('canary@foods.example', 'canary-password-9f2'),
  );
  const log = world.logged.join('\n');
  for (const canary of ['canary-password-9f2', 'canary@foods.example', String(body['access_token'])]) {
    expect(log).not.toContain(canary);
  }
  const [dump] = await world.rows<{ all: string }>('select json_agg(a)::text as all from accounts a');
  expect(dump?.all).not.toContain('canary-password-9f2');
});
