import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Caller } from './caller.ts';
import { companiesIn, failed, password, refreshOf, revoked, tokenOf, type Companies } from './company.ts';
import { openWorld, type World } from './world.ts';

let world: World;
let companies: Companies;
let portal: Caller;
let job: Caller;
/** How far the service's clock is ahead, in milliseconds. */
const clock = { ahead: 0 };
const now = () => new Date(Date.now() + clock.ahead);

beforeAll(async () => {
  world = await openWorld({ now });
  [portal, job] = await Promise.all([world.caller('portal'), world.caller('job')]);
  companies = companiesIn(world, portal);
}, 180_000);
afterAll(() => world?.close());

test('a refresh token is good once, for its own workload; one that comes again ends the session and its tokens', async () => {
  const { send, administrator, logIn } = companies;
  await administrator('boss@session.example');
  const refresh = (refresh_token: string, caller = portal) =>
    caller.send('POST', `${world.url}/v1/session/refresh`, { body: { refresh_token } });

  const login = await logIn('boss@session.example');
  const second = await refresh(refreshOf(login));
  expect(second).toMatchObject({ status: 200, body: { token_type: 'Bearer', scope: login.body['scope'] } });
  expect((await send('GET', '/get-all-secrets', tokenOf(second))).status).toBe(200);
  expect(await refresh(refreshOf(login))).toMatchObject(failed(401, 'refresh_refused'));
  expect(await refresh(refreshOf(second))).toMatchObject(failed(401, 'refresh_refused'));
  await revoked(() => send('GET', '/get-all-secrets', tokenOf(second)));

  const stolen = await logIn('boss@session.example');
  expect(await refresh(refreshOf(stolen), job)).toMatchObject(failed(401, 'refresh_refused'));
  expect(await refresh(refreshOf(stolen))).toMatchObject(failed(401, 'refresh_refused'));

  const parallel = refreshOf(await logIn('boss@session.example'));
  const answers = await Promise.all(Array.from({ length: 4 }, () => refresh(parallel)));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  expect(await refresh('unknown')).toMatchObject(failed(401, 'refresh_refused'));
  const ended = await world.rows<{ details: string }>(
    `select convert_from(canonical, 'utf8')::jsonb -> 'details' ->> 'cause' as details from audit_outbox
     where convert_from(canonical, 'utf8')::jsonb ->> 'action' = 'session.ended'`,
  );
  expect(new Set(ended.map(({ details }) => details))).toEqual(new Set(['refresh_reused', 'refresh_by_another']));
});

test('a token of no session of this service ends none', async () => {
  const who = { subjectIssuer: world.issuerUrl, sub: randomUUID(), tenant: `kp_${randomUUID().replaceAll('-', '')}` };
  const token = await world.token(portal.thumbprint, ['account:manage'], who);
  expect(await companies.send('POST', '/v1/session/logout', token)).toMatchObject(failed(403, 'account_required'));
});

test('a session ends by logout, after idle time, and at its longest life', async () => {
  const { send, administrator, logIn } = companies;
  await administrator('boss@ending.example');
  const refresh = (refresh_token: string) => send('POST', '/v1/session/refresh', null, { refresh_token });
  const login = await logIn('boss@ending.example');
  expect((await send('POST', '/v1/session/logout', tokenOf(login))).status).toBe(204);
  await revoked(() => send('GET', '/get-all-secrets', tokenOf(login)));
  expect((await refresh(refreshOf(login))).status).toBe(401);

  const idle = await logIn('boss@ending.example');
  clock.ahead += 16 * 60_000;
  expect((await refresh(refreshOf(idle))).status).toBe(401);

  let kept = await logIn('boss@ending.example');
  let minutes = 0;
  for (; minutes <= 300; minutes += 14) {
    clock.ahead += 14 * 60_000;
    const next = await refresh(refreshOf(kept));
    if (next.status !== 200) break;
    kept = next;
  }
  // Moderate: 240 minutes at most.
  expect(minutes).toBe(17 * 14);
});

test('a password is changed with the present one, to none that was used before, breached or made of the address', async () => {
  const { send, administrator, logIn } = companies;
  const token = await administrator('boss@password.example');
  const other = await logIn('boss@password.example');
  const change = (present_password: string, new_password: string) =>
    send('POST', '/v1/account/password', token, { present_password, new_password });
  expect(await change('a wrong password', 'another long password')).toMatchObject(failed(403, 'password_refused'));
  for (const [bad, rule] of [
    [password, 'former'],
    ['Password1234', 'breaches'],
    ['boss@password.example', 'address'],
  ] as const) {
    const refused = await change(password, bad);
    expect(refused).toMatchObject(failed(400, 'invalid_input'));
    expect(JSON.stringify(refused.body)).toContain(rule);
  }
  expect((await change(password, 'elevenchars')).status).toBe(400);
  expect((await change(password, 'another long password')).status).toBe(204);
  expect(await change('another long password', password)).toMatchObject(failed(400, 'invalid_input'));
  expect((await send('POST', '/v1/session/refresh', null, { refresh_token: refreshOf(other) })).status).toBe(401);
  expect((await send('GET', '/get-all-secrets', token)).status).toBe(200);
  expect((await logIn('boss@password.example')).status).toBe(401);
  expect((await logIn('boss@password.example', { password: 'another long password' })).status).toBe(200);
});
