import { afterAll, beforeAll, expect, test } from '@jest/globals';
import bcrypt from 'bcryptjs';
import { accepting, companiesIn, failed, password, refreshOf, revoked, tokenOf, type Companies } from './company.ts';
import { openWorld, type World } from './world.ts';

let world: World;
let companies: Companies;
/** How far the service's clock is ahead, in milliseconds. */
const clock = { ahead: 0 };
const now = () => new Date(Date.now() + clock.ahead);

beforeAll(async () => {
  world = await openWorld({ now });
  companies = companiesIn(world, await world.caller('portal'));
}, 180_000);
afterAll(() => world?.close());

test('others join a company by invitation: its address, company and role are those of the invitation, and it is good once', async () => {
  const { send, administrator, logIn } = companies;
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
  const { send, administrator, logIn } = companies;
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
  const { send, administrator } = companies;
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

test('who is disabled, demoted or deleted loses every token and session at once; one administrator is always left', async () => {
  const { send, administrator, member, logIn } = companies;
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

test('imported bcrypt hashes log in, and are hashed anew by that', async () => {
  const { send, administrator, logIn } = companies;
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
