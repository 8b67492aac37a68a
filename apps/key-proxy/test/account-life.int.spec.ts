import { afterAll, beforeAll, expect, test } from '@jest/globals';
import bcrypt from 'bcryptjs';
import { Secret as TotpSecret, TOTP } from 'otpauth';
import { type Caller, type Reply } from './caller.ts';
import { openWorld, signUpBody, type World } from './world.ts';

let world: World;
let strict: World;
let portal: Caller;
let job: Caller;
/** How far the services' clock is ahead, in milliseconds. */
const clock = { ahead: 0 };
const now = () => new Date(Date.now() + clock.ahead);

beforeAll(async () => {
  [world, strict] = await Promise.all([
    openWorld({ now }),
    openWorld({ now, env: { POSTERN_SECOND_FACTOR: 'administrators', POSTERN_SIGN_UP: 'true' } }),
  ]);
  [portal, job] = await Promise.all([world.caller('portal'), world.caller('job')]);
}, 180_000);
afterAll(() => Promise.all([world.close(), strict.close()]));

const password = 'a long enough password';
type Method = Parameters<Caller['send']>[0];

/** One company in a world, and its calls. */
function at(in_: World, caller: Caller) {
  const send = (method: Method, path: string, token: string | null, body?: object) =>
    caller.send(method, `${in_.url}${path}`, { ...(token === null ? {} : { token }), ...(body && { body }) });
  const logIn = (email: string, more: object = {}) => send('POST', '/login', null, { email, password, ...more });
  return {
    send,
    logIn,
    async administrator(email: string): Promise<string> {
      expect((await send('POST', '/signup', null, signUpBody(email))).status).toBe(201);
      return tokenOf(await logIn(email));
    },
    async member(admin: string, email: string, role = 'user'): Promise<Reply> {
      const { body } = await send('POST', '/v1/invitations', admin, { email, role });
      return send('POST', '/v1/accept-invitation', null, accepting(body['token']));
    },
  };
}
const accepting = (token: unknown) => ({ token, contact_name: 'Bob Example', phone_number: '+45 1', password });
const tokenOf = ({ body }: Reply) => String(body['access_token']);
const refreshOf = ({ body }: Reply) => String(body['refresh_token']);
const codeOf = (key: unknown, stepsAhead = 0) =>
  new TOTP({ secret: TotpSecret.fromBase32(String(key)), digits: 6, period: 30, algorithm: 'SHA1' }).generate({
    timestamp: now().getTime() + stepsAhead * 30_000,
  });
const failed = (status: number, code: string) => ({ status, body: { code } });

test('others join a company by invitation: its address, company and role are those of the invitation, and it is good once', async () => {
  const { send, administrator, logIn } = at(world, portal);
  const admin = await administrator('boss@join.example');
  const invited = await send('POST', '/v1/invitations', admin, { email: 'New@join.example', role: 'user' });
  expect(invited).toMatchObject({ status: 201, body: { email: 'new@join.example', role: 'user' } });
  const token = invited.body['token'];

  // Mass assignment: nobody makes themselves an administrator, or chooses the company or the address.
  for (const more of [{ role: 'admin' }, { email: 'other@join.example' }, { tenant: 'acme' }, { company_id: 'acme' }])
    expect(await send('POST', '/v1/accept-invitation', null, { ...accepting(token), ...more })).toMatchObject(
      failed(400, 'invalid_input'),
    );

  const answers = await Promise.all(
    Array.from({ length: 5 }, () => send('POST', '/v1/accept-invitation', null, accepting(token))),
  );
  expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 403, 403, 403, 403]);
  expect(await send('POST', '/v1/accept-invitation', null, accepting(token))).toMatchObject(
    failed(403, 'invitation_refused'),
  );
  const company = (await send('GET', '/v1/accounts', admin)).body['accounts'] as Record<string, unknown>[];
  expect(company.map(({ email, role }) => [email, role])).toEqual([
    ['boss@join.example', 'admin'],
    ['new@join.example', 'user'],
  ]);

  const user = tokenOf(await logIn('new@join.example'));
  for (const [method, path, body] of [
    ['POST', '/v1/invitations', { email: 'x@join.example' }],
    ['GET', '/v1/accounts', undefined],
    ['GET', '/audit-logs', undefined],
    ['POST', '/configure-kms', { kms_selection: 'crypto-store', kms_credentials: {} }],
  ] as const)
    expect((await send(method, path, user, body)).status).toBe(403);
});

test('an invitation of an address that has an account elsewhere is accepted as any other; nothing is made, and only that account’s company has it in its log', async () => {
  const { send, administrator, logIn } = at(world, portal);
  const inviting = await administrator('boss@invites.example');
  await administrator('boss@has-account.example');
  const accept = async (email: string) => {
    const { body } = await send('POST', '/v1/invitations', inviting, { email, role: 'user' });
    const accepted = await send('POST', '/v1/accept-invitation', null, {
      ...accepting(body['token']),
      password: chosen,
    });
    const again = await send('POST', '/v1/accept-invitation', null, accepting(body['token']));
    return { accepted, again };
  };
  const chosen = 'quite another password';
  const [free, taken] = [await accept('free@invites.example'), await accept('boss@has-account.example')];
  expect(free.accepted).toMatchObject({ status: 201, body: { email: 'free@invites.example' } });
  const shape = ({ accepted: { status, body, headers }, again }: Awaited<ReturnType<typeof accept>>) => {
    const said = { ...body, email: '', account_id: String(body['account_id']).replace(/[0-9a-f]/g, '0') };
    return [status, said, Object.keys(headers).sort(), again.status, again.body['code']];
  };
  expect(shape(taken)).toEqual(shape(free));
  expect([
    (await logIn('boss@has-account.example')).status,
    (await logIn('boss@has-account.example', { password: chosen })).status,
  ]).toEqual([200, 401]);
  const [{ count } = { count: '' }] = await world.rows<{ count: string }>(
    'select count(*) from accounts where id = $1',
    [taken.accepted.body['account_id']],
  );
  expect(count).toBe('0');
  const refused = await world.rows<{ mine: boolean; id: string }>(
    `select e ->> 'tenant' = a.tenant as mine, e -> 'resource' ->> 'id' = a.id::text as id
     from (select convert_from(canonical, 'utf8')::jsonb as e from audit_outbox) events,
       accounts a where a.email = 'boss@has-account.example'
       and e ->> 'reason' = 'account_exists' and e -> 'details' ->> 'method' = 'invitation'`,
  );
  expect(refused).toEqual([{ mine: true, id: true }]);
});

test('an invitation ends: after three days, when it is taken back, and when another one is made', async () => {
  const { send, administrator } = at(world, portal);
  const admin = await administrator('boss@ends.example');
  const invite = async () => (await send('POST', '/v1/invitations', admin, { email: 'late@ends.example' })).body;
  const accept = (token: unknown) => send('POST', '/v1/accept-invitation', null, accepting(token));
  const [first, second] = [await invite(), await invite()];
  expect(await accept(first['token'])).toMatchObject(failed(403, 'invitation_refused'));
  expect((await send('DELETE', `/v1/invitations/${String(second['id'])}`, admin)).status).toBe(204);
  expect(await accept(second['token'])).toMatchObject(failed(403, 'invitation_refused'));
  const third = await invite();
  expect(await send('GET', '/v1/invitations', admin)).toMatchObject({ body: { invitations: [{ id: third['id'] }] } });
  clock.ahead += 73 * 3_600_000;
  expect(await accept(third['token'])).toMatchObject(failed(403, 'invitation_refused'));
  expect(await accept('no token at all')).toMatchObject(failed(403, 'invitation_refused'));
});

test('a refresh token is good once, for its own workload; one that comes again ends the session and its tokens', async () => {
  const { send, administrator, logIn } = at(world, portal);
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

/** Revocations are followed once a second (R14). */
async function revoked(call: () => Promise<Reply>): Promise<void> {
  for (let tries = 0; tries < 50; tries += 1) {
    if ((await call()).status === 401) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the token still works');
}

test('a session ends by logout, after idle time, and at its longest life', async () => {
  const { send, administrator, logIn } = at(world, portal);
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

test('who is disabled, demoted or deleted loses every token and session at once; one administrator is always left', async () => {
  const { send, administrator, member, logIn } = at(world, portal);
  const admin = await administrator('boss@states.example');
  const { body: made } = await member(admin, 'bob@states.example');
  const bob = `/v1/accounts/${String(made['account_id'])}`;
  const login = await logIn('bob@states.example');
  expect((await send('PATCH', bob, admin, { state: 'disabled' })).status).toBe(204);
  await revoked(() => send('GET', '/get-all-secrets', tokenOf(login)));
  expect((await send('POST', '/v1/session/refresh', null, { refresh_token: refreshOf(login) })).status).toBe(401);
  expect(await logIn('bob@states.example')).toMatchObject(failed(401, 'login_refused'));
  expect((await send('PATCH', bob, admin, { state: 'active' })).status).toBe(204);
  clock.ahead += 2_000;
  expect((await logIn('bob@states.example')).status).toBe(200);

  const [self] = (await send('GET', '/v1/accounts', admin)).body['accounts'] as { id: string; email: string }[];
  const [own] = ((await send('GET', '/v1/accounts', admin)).body['accounts'] as { id: string; email: string }[]).filter(
    ({ email }) => email === 'boss@states.example',
  );
  expect(self).toBeDefined();
  for (const change of [{ state: 'disabled' }, { role: 'user' }])
    expect(await send('PATCH', `/v1/accounts/${own?.id}`, admin, change)).toMatchObject(
      failed(409, 'last_administrator'),
    );
  expect(await send('DELETE', `/v1/accounts/${own?.id}`, admin)).toMatchObject(failed(409, 'last_administrator'));
  expect((await send('DELETE', bob, admin)).status).toBe(204);
  expect(await send('DELETE', bob, admin)).toMatchObject(failed(404, 'account_not_found'));

  const other = await administrator('boss@elsewhere.example');
  expect(await send('PATCH', `/v1/accounts/${own?.id}`, other, { state: 'disabled' })).toMatchObject(
    failed(404, 'account_not_found'),
  );
});

test('a password is changed with the present one, to none that was used before, breached or made of the address', async () => {
  const { send, administrator, logIn } = at(world, portal);
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

test('R16: in moderate an administrator first enrols a second factor; each code, and each recovery code, is good once', async () => {
  const caller = await strict.caller('portal');
  const { send, administrator, logIn } = at(strict, caller);
  const limited = await administrator('boss@factor.example');
  expect((await send('GET', '/get-all-secrets', limited)).body).toMatchObject({ code: 'insufficient_scope' });
  expect((await send('GET', '/v1/accounts', limited)).status).toBe(403);

  const { body: enrolled } = await send('POST', '/v1/account/factor', limited);
  expect(String(enrolled['uri'])).toMatch(/^otpauth:\/\/totp\/Postern:boss%40factor\.example\?/);
  expect(await send('POST', '/v1/account/factor/confirm', limited, { otp: '000000' })).toMatchObject(
    failed(403, 'factor_refused'),
  );
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
  const [row] = await strict.rows<{ sealed: Buffer }>('select sealed from factors union all select null limit 1');
  expect(row?.sealed ?? null).toBeNull();
});

test('codes that are guessed lock the account as passwords do', async () => {
  const caller = await strict.caller('portal');
  const { send, administrator, logIn } = at(strict, caller);
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

test('imported bcrypt hashes log in, and are hashed anew by that', async () => {
  const { send, administrator, logIn } = at(world, portal);
  const admin = await administrator('boss@import.example');
  const hashed = await bcrypt.hash(password, 6);
  const accounts = ['a', 'b'].map((name) => ({ email: `${name}@import.example`, password_hash: hashed }));
  const imported = await send('POST', '/v1/import-accounts', admin, { accounts });
  expect(imported).toMatchObject({ status: 201, body: { imported: 2 } });
  const hashOf = async (name: string) =>
    (
      await world.rows<{ password_hash: string; bcrypt_cost: number | null }>(
        'select password_hash, bcrypt_cost from accounts where email = $1',
        [`${name}@import.example`],
      )
    )[0];
  expect((await logIn('a@import.example', { password: 'a wrong password' })).status).toBe(401);
  expect(await hashOf('a')).toEqual({ password_hash: hashed, bcrypt_cost: 6 });
  expect((await logIn('a@import.example')).status).toBe(200);
  expect(await hashOf('a')).toEqual({ password_hash: expect.stringMatching(/^argon2id\$/), bcrypt_cost: null });
  expect((await logIn('a@import.example')).status).toBe(200);
  expect(await hashOf('b')).toMatchObject({ bcrypt_cost: 6 });

  // An address that has an account, here or elsewhere, keeps it, and the answer is as for any other (ADR 48).
  const other = await administrator('boss@import-elsewhere.example');
  const before = await hashOf('a');
  const taken = { accounts: [{ email: 'c@import.example', password_hash: hashed }, accounts[0]] };
  const again = await send('POST', '/v1/import-accounts', other, taken);
  expect(again).toMatchObject({ status: 201, body: { imported: 2 } });
  expect(Object.keys(again.body)).toEqual(Object.keys(imported.body));
  expect([await hashOf('a'), await hashOf('c')]).toEqual([before, { password_hash: hashed, bcrypt_cost: 6 }]);
  for (const password_hash of ['plain', hashed.replace('$06$', '$14$'), '$argon2id$v=19$x'])
    expect(
      await send('POST', '/v1/import-accounts', admin, { accounts: [{ email: 'd@import.example', password_hash }] }),
    ).toMatchObject(failed(400, 'invalid_input'));
});

test('no invitation, refresh token, key of a factor, recovery code or password is in the log, an event, a row or a problem', async () => {
  const { send, administrator, logIn } = at(strict, await strict.caller('portal'));
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
  const [rows] = await strict.rows<{ all: string }>(
    `select concat((select json_agg(t) from accounts t), (select json_agg(t) from invitations t), (select json_agg(t) from sessions t),
       (select json_agg(t) from used_refresh_tokens t), (select json_agg(t) from factors t), (select json_agg(t) from recovery_codes t),
       (select string_agg(convert_from(canonical, 'utf8'), '') from audit_outbox)) as all`,
  );
  const places = [...strict.logged, rows?.all ?? '', ...refused.map(({ body }) => JSON.stringify(body))].join('\n');
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
