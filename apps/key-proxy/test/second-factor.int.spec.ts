import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Secret as TotpSecret, TOTP } from 'otpauth';
import { type Reply } from './caller.ts';
import { accepting, companiesIn, failed, password, refreshOf, tokenOf, type Companies } from './company.ts';
import { recordedEvents } from './recorded-events.ts';
import { openWorld, type World } from './world.ts';

let world: World;
let companies: Companies;

const codeOf = (key: unknown, stepsAhead = 0) =>
  new TOTP({ secret: TotpSecret.fromBase32(String(key)), digits: 6, period: 30, algorithm: 'SHA1' }).generate({
    timestamp: Date.now() + stepsAhead * 30_000,
  });

beforeAll(async () => {
  world = await openWorld({ env: { POSTERN_SECOND_FACTOR: 'administrators', POSTERN_SIGN_UP: 'true' } });
  companies = companiesIn(world, await world.caller('portal'));
}, 180_000);
afterAll(() => world?.close());

test('R16: in moderate an administrator first enrols a second factor; each code, and each recovery code, is good once', async () => {
  const { send, administrator, logIn } = companies;
  const limited = await administrator('boss@factor.example');
  expect((await send('GET', '/get-all-secrets', limited)).body).toMatchObject({ code: 'insufficient_scope' });
  expect((await send('GET', '/v1/accounts', limited)).status).toBe(403);

  const { body: enrolled } = await send('POST', '/v1/account/factor', limited);
  expect(String(enrolled['uri'])).toMatch(/^otpauth:\/\/totp\/Postern:boss%40factor\.example\?/);
  const first = codeOf(enrolled['key']);
  const confirmed = await send('POST', '/v1/account/factor/confirm', limited, { otp: first });
  const codes = confirmed.body['recovery_codes'] as string[];
  expect(codes).toHaveLength(10);

  expect(await logIn('boss@factor.example')).toMatchObject(failed(401, 'factor_required'));
  // The code that confirmed the factor is used up.
  expect(await logIn('boss@factor.example', { otp: first })).toMatchObject(failed(401, 'login_refused'));
  const next = codeOf(enrolled['key'], 1);
  const logins = await Promise.all([1, 2].map(() => logIn('boss@factor.example', { otp: next })));
  expect(logins.map(({ status }) => status).toSorted()).toEqual([200, 401]);
  const full = logins.find(({ status }) => status === 200) as Reply;
  expect((await send('GET', '/v1/accounts', tokenOf(full))).status).toBe(200);
  const again = await send('POST', '/v1/session/refresh', null, { refresh_token: refreshOf(full) });
  expect(again.body['scope']).toBe(full.body['scope']);

  expect((await logIn('boss@factor.example', { otp: codes[0] })).status).toBe(200);
  expect((await logIn('boss@factor.example', { otp: codes[0] })).status).toBe(401);
  expect((await logIn('boss@factor.example', { otp: codes[1]?.toLowerCase() })).status).toBe(200);
  expect(await send('POST', '/v1/account/factor', tokenOf(full))).toMatchObject(failed(409, 'factor_exists'));
  expect((await send('POST', '/v1/account/factor/remove', tokenOf(full), { otp: codes[2] })).status).toBe(204);
  expect((await logIn('boss@factor.example')).body).toMatchObject({ scope: 'account:manage' });
  const [row] = await world.rows<{ sealed: Buffer }>('select sealed from factors union all select null limit 1');
  expect(row?.sealed ?? null).toBeNull();
});

test('for who lost device and codes the administrator takes the factor away: its sessions end, and a password is enough again', async () => {
  const { send, administrator, member, logIn } = companies;
  const enrol = async (token: string) => {
    const { body } = await send('POST', '/v1/account/factor', token);
    const otp = codeOf(body['key']);
    expect((await send('POST', '/v1/account/factor/confirm', token, { otp })).status).toBe(200);
    return body['key'];
  };
  const key = await enrol(await administrator('boss@lost.example'));
  const admin = tokenOf(await logIn('boss@lost.example', { otp: codeOf(key, 1) }));
  const { body: bob } = await member(admin, 'bob@lost.example');
  const login = await logIn('bob@lost.example');
  await enrol(tokenOf(login));
  expect(await logIn('bob@lost.example')).toMatchObject(failed(401, 'factor_required'));
  const factor = `/v1/accounts/${String(bob['account_id'])}/factor`;
  expect((await send('DELETE', factor, tokenOf(login))).status).toBe(403);
  expect((await send('DELETE', factor, admin)).status).toBe(204);
  expect((await send('POST', '/v1/session/refresh', null, { refresh_token: refreshOf(login) })).status).toBe(401);
  expect((await logIn('bob@lost.example')).status).toBe(200);
});

test('codes that are guessed lock the account as passwords do', async () => {
  const { send, administrator, logIn } = companies;
  const token = await administrator('boss@guess.example');
  const { body } = await send('POST', '/v1/account/factor', token);
  await send('POST', '/v1/account/factor/confirm', token, { otp: codeOf(body['key']) });
  const answers = [];
  for (let tries = 0; tries < 5; tries += 1) {
    answers.push((await logIn('boss@guess.example', { otp: '000000' })).status);
    // To ask without a code between the guesses does not start the count again.
    await logIn('boss@guess.example');
  }
  expect(answers).toEqual([401, 401, 401, 429, 429]);
});

test('who holds a session guesses its password or codes no longer than anyone: the account is locked, and the log says so', async () => {
  const { send, administrator, logIn } = companies;
  const guesses = {
    '/v1/account/password': [{ present_password: 'a wrong password', new_password: password }, 'password_refused'],
    '/v1/account/factor/confirm': [{ otp: '000000' }, 'factor_refused'],
    '/v1/account/factor/remove': [{ otp: '000000' }, 'factor_refused'],
  } as const;
  for (const [n, [path, [body, code]]] of Object.entries(guesses).entries()) {
    const address = `boss@session-${n}.example`;
    const token = await administrator(address);
    await send('POST', '/v1/account/factor', token);
    const answers = [];
    for (let tries = 0; tries < 4; tries += 1) answers.push(await send('POST', path, token, body));
    expect(answers).toMatchObject([...Array<object>(3).fill(failed(403, code)), failed(429, 'login_locked')]);
    expect(await logIn(address)).toMatchObject(failed(429, 'login_locked'));
  }
  const locked = (await recordedEvents(world)).filter(
    ({ action, actor }) => action === 'account.locked' && actor.person,
  );
  expect(locked).toHaveLength(3);
});

test('no invitation, refresh token, key of a factor, recovery code or password is in the log, an event, a row or a problem', async () => {
  const { send, administrator, logIn } = companies;
  const limited = await administrator('boss@canary.example');
  const { body: factor } = await send('POST', '/v1/account/factor', limited);
  const code = codeOf(factor['key']);
  const { body: confirmed } = await send('POST', '/v1/account/factor/confirm', limited, { otp: code });
  const codes = confirmed['recovery_codes'] as string[];
  const login = await logIn('boss@canary.example', { otp: codes[0] });
  const { body: invited } = await send('POST', '/v1/invitations', tokenOf(login), { email: 'x@canary.example' });
  const refused = [
    await send('POST', '/v1/accept-invitation', null, { ...accepting(invited['token']), password: 'canary-short' }),
    await send('POST', '/v1/accept-invitation', null, { ...accepting(`${String(invited['token'])}x`) }),
    await send('POST', '/v1/session/refresh', null, { refresh_token: refreshOf(login), more: codes[1] }),
    await logIn('boss@canary.example', { otp: codes[0] }),
    await send('POST', '/v1/account/password', tokenOf(login), {
      present_password: 'canary-wrong',
      new_password: password,
    }),
  ];
  expect(refused.map(({ status }) => status).filter((status) => status < 400 || status >= 500)).toEqual([]);
  const [rows] = await world.rows<{ all: string }>(
    `select concat((select json_agg(t) from accounts t), (select json_agg(t) from invitations t), (select json_agg(t) from sessions t),
       (select json_agg(t) from used_refresh_tokens t), (select json_agg(t) from factors t), (select json_agg(t) from recovery_codes t),
       (select string_agg(convert_from(canonical, 'utf8'), '') from audit_outbox)) as all`,
  );
  const places = [...world.logged, rows?.all ?? '', ...refused.map(({ body }) => JSON.stringify(body))].join('\n');
  expect(places.length).toBeGreaterThan(10_000);
  const canaries = [
    factor['key'],
    invited['token'],
    refreshOf(login),
    password,
    'canary-short',
    'canary-wrong',
    ...codes,
  ];
  const found = canaries
    .map(String)
    .flatMap((canary) => [canary, Buffer.from(canary).toString('base64'), Buffer.from(canary).toString('hex')])
    .filter((form) => places.includes(form));
  expect(found).toEqual([]);
});
