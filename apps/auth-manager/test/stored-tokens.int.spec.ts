import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import type { Caller } from './caller.ts';
import { HANDLE, SCOPES, visit } from './consents.ts';
import { ownLogin } from './own-login.ts';
import { openWorld, type Replica, type World } from './world.ts';

let world: World;
let replicas: Replica[];
let portal: Caller;
let job: Caller;

beforeAll(async () => {
  world = await openWorld();
  replicas = [await world.replica(), await world.replica({ POSTERN_PUBLIC_PORT: '0' })];
  [portal, job] = await Promise.all([world.caller('portal'), world.caller('job')]);
});
afterAll(() => world.close());

type Stored = { refresh_token?: string; username?: string; at?: number; extra?: object };
async function store({ refresh_token, username = 'alice', at = 0, extra = {} }: Stored) {
  const token = await portal.tokenFor(username, ['grants:write']);
  const body = { refresh_token, scopes: SCOPES, handle: HANDLE, ...extra };
  return portal.send(`${replicas[at % 2]!.api}/v1/grants`, { method: 'POST', token, body });
}
const tokenOf = async (options?: Parameters<typeof ownLogin>[1]) =>
  (await ownLogin(world, options)).refreshToken?.reveal() ?? '';

test('R18: a refresh token of our own client for this very person is stored, and serves the job', async () => {
  const stored = await store({ refresh_token: await tokenOf(), extra: { attributes: { project: 'p-7' } } });
  expect(stored.status).toBe(201);
  expect(stored.body).toMatchObject({
    kind: 'offline',
    state: 'active',
    scopes: SCOPES,
    attributes: { project: 'p-7' },
  });
  const id = String(stored.body['id']);
  await world.query("update grants set confirmed_at = now() - interval '1 hour' where id = $1", [id]);
  const sent = { method: 'POST', token: await job.ownToken(['grants:use']), body: { audience: 'token-exchange' } };
  expect((await job.send(`${replicas[1]!.api}/v1/grants/${id}/access-token`, sent)).status).toBe(200);
  expect(JSON.stringify(stored.body)).not.toMatch(/eyJ/);
});

test('an online refresh token is a grant of the kind refresh, which nobody keeps alive', async () => {
  const stored = await store({ refresh_token: await tokenOf({ scopes: ['openid'] }) });
  expect(stored.body).toMatchObject({ kind: 'refresh' });
  const [row] = await world.query<{ due_at: Date | null }>('select due_at from grants where id = $1', [
    stored.body['id'],
  ]);
  expect(row?.due_at).toBeNull();
});

test("R18: another person's token, one that is dead, or that is none, is refused, and nothing is stored", async () => {
  const before = await world.query('select count(*) from grants');
  const theirs = await tokenOf({ username: 'audrey' });
  const access = (await ownLogin(world)).accessToken.reveal();
  const dead = await tokenOf({ username: 'admin-ada' });
  world.provider().expireOfflineSessions('admin-ada', 'auth-manager');
  const refusals = [
    await store({ refresh_token: theirs }),
    await store({ refresh_token: dead, username: 'admin-ada' }),
    await store({ refresh_token: access }),
    await store({ refresh_token: 'nothing' }),
  ];
  for (const { status, body } of refusals) {
    expect([status, body['code']]).toEqual([400, 'refresh_token_refused']);
    expect(JSON.stringify(body)).not.toContain(theirs);
  }
  expect(await world.query('select count(*) from grants')).toEqual(before);
});

test('one session is one grant, however many store its token at once over two replicas', async () => {
  const refresh_token = await tokenOf({ username: 'audrey' });
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, at) => store({ refresh_token, username: 'audrey', at })),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array<number>(12).fill(201));
  expect(new Set(answers.map(({ body }) => body['id'])).size).toBe(1);
  const [counts] = await world.query<{ grants: string; handles: string }>(
    `select count(distinct g.id) as grants, count(h.id) as handles from grants g join handles h on h.grant_id = g.id
      where g.person_sub = $1`,
    [world.subOf('audrey')],
  );
  expect(counts).toEqual({ grants: '1', handles: '1' });
});

test('the fingerprint is keyed: equal tokens of two tenants are not seen to be equal, and no hash of the token lies anywhere', async () => {
  const refresh_token = await tokenOf();
  const { body } = await store({ refresh_token });
  const [row] = await world.query<{ token_fingerprint: Buffer }>('select token_fingerprint from grants where id = $1', [
    body['id'],
  ]);
  expect(row?.token_fingerprint).toHaveLength(32);
  expect(row?.token_fingerprint).not.toEqual(createHash('sha256').update(refresh_token).digest());
});

test('a grant that could not be used recovers with a new token of its session, and both are told', async () => {
  const { body } = await store({ refresh_token: await tokenOf() });
  const id = String(body['id']);
  const session = (await world.query<{ session: string }>('select session from grants where id = $1', [id]))[0]
    ?.session;
  await world.query("update grants set confirmed_at = now() - interval '1 hour' where id = $1", [id]);
  world.provider().expireOfflineSessions('alice', 'auth-manager');
  const sent = async () => ({
    method: 'POST',
    token: await job.ownToken(['grants:use']),
    body: { audience: 'token-exchange' },
  });
  const path = `${replicas[0]!.api}/v1/grants/${id}/access-token`;
  expect((await job.send(path, await sent())).body['code']).toBe('reauthorization_required');
  const again = await tokenOf();
  // The provider begins another session for it; ours is made to be that one, as a login in the same browser would.
  await world.query('update grants set session = $2 where id = $1 and session = $3', [
    id,
    decodeJwt(again)['sid'],
    session,
  ]);
  expect((await store({ refresh_token: again })).body['id']).toBe(id);
  expect((await job.send(path, await sent())).status).toBe(200);
  const all = await world.query<{ action: string; canonical: Buffer }>(
    "select action, canonical from audit_outbox where action in ('grant.reauthorization_required', 'grant.recovered')",
  );
  const mine = all.filter(({ canonical }) => canonical.toString().includes(id)).map(({ action }) => action);
  expect(mine.sort()).toEqual(['grant.reauthorization_required', 'grant.recovered']);
});

test('a grant goes through every state and comes back by a new token of its session', async () => {
  const person = async () => portal.tokenFor('alice', ['grants:read', 'grants:write']);
  const api = replicas[0]!.api;
  const { body } = await store({ refresh_token: await tokenOf() });
  const id = String(body['id']);
  const row = async () =>
    (await world.query<{ state: string; session: string }>('select state, session from grants where id = $1', [id]))[0];
  const use = async () => {
    await world.query("update grants set confirmed_at = now() - interval '1 hour' where id = $1 and state = 'active'", [
      id,
    ]);
    const sent = { method: 'POST', token: await job.ownToken(['grants:use']), body: { audience: 'token-exchange' } };
    const { status, body: said } = await job.send(`${api}/v1/grants/${id}/access-token`, sent);
    return said['code'] ?? status;
  };
  const lose = async () => {
    world.provider().expireOfflineSessions('alice', 'auth-manager');
    expect(await use()).toBe('reauthorization_required');
  };
  const endSession = async () => {
    const { body: listed } = await portal.send(`${api}/v1/sessions`, { token: await person() });
    const sessions = listed['sessions'] as { id: string; grants: { id: string }[] }[];
    const mine = sessions.find(({ grants }) => grants.some((one) => one.id === id))?.id ?? '';
    const sent = { method: 'DELETE', token: await person() };
    expect((await portal.send(`${api}/v1/sessions/${mine}?offline=end`, sent)).status).toBe(200);
  };
  const revoke = async () =>
    (await portal.send(`${api}/v1/grants/${id}`, { method: 'DELETE', token: await person() })).status;
  /** As a login in the same browser would: the provider's new session is made to be the grant's. */
  const comeBack = async () => {
    const again = await tokenOf();
    await world.query('update grants set session = $2 where id = $1', [id, decodeJwt(again)['sid']]);
    expect((await store({ refresh_token: again })).body['id']).toBe(id);
    return use();
  };

  expect([(await row())?.state, await use()]).toEqual(['active', 200]);
  await lose();
  expect((await row())?.state).toBe('reauthorization_required');
  await endSession();
  expect([(await row())?.state, await use()]).toEqual(['ended', 'grant_ended']);
  expect([await comeBack(), (await row())?.state]).toEqual([200, 'active']);
  await lose();
  expect([await comeBack(), (await row())?.state]).toEqual([200, 'active']);
  await endSession();
  expect(await revoke()).toBe(204);
  expect(await row()).toBeUndefined();
});

test('R14: the tokens of a grant that comes back are good from the first one on, also in the second in which its session ended', async () => {
  const api = replicas[0]!.api;
  const { body } = await store({ refresh_token: await tokenOf() });
  const id = String(body['id']);
  const exchange = await world.caller('token-exchange');
  const use = async () => {
    const sent = { method: 'POST', token: await job.ownToken(['grants:use']), body: { audience: 'token-exchange' } };
    const { body: used } = await job.send(`${api}/v1/grants/${id}/access-token`, sent);
    const token = String(used['access_token']);
    return { token, ...(await exchange.sendForm(`${api}/introspect`, { token })).body };
  };
  const before = await use();
  expect(before).toMatchObject({ active: true });

  const again = await tokenOf();
  await world.query('update grants set session = $2 where id = $1', [id, decodeJwt(again)['sid']]);
  const person = await portal.tokenFor('alice', ['grants:read', 'grants:write']);
  expect((await portal.send(`${api}/v1/sessions?offline=end`, { method: 'DELETE', token: person })).status).toBe(200);
  // Nobody waits between its end and its return.
  await world.query(
    "update grants set state = 'active', family = family + 1, sealed_token = '\\x00', token_fingerprint = '\\x00' where id = $1",
    [id],
  );
  const after = await use();
  expect(after).toMatchObject({ active: true, grant_id: id });
  expect((await exchange.sendForm(`${api}/introspect`, { token: before.token })).body).toEqual({ active: false });
  // What peers see of it (R14): no revocation that is published meets it.
  const { body: page } = await portal.send(`${api}/v1/revocations`);
  const entries = page['revocations'] as { target: { grantId?: string; before?: number } }[];
  const mine = entries.filter(({ target }) => target.grantId === id).map(({ target }) => target.before ?? 0);
  expect(mine).toHaveLength(1);
  expect(decodeJwt(after.token).iat).toBeGreaterThanOrEqual(mine[0]!);
});

test('R14: a grant that was revoked never comes back: a new token of its session makes another, without its handles, whose tokens are good', async () => {
  const person = await portal.tokenFor('alice', ['grants:read', 'grants:write']);
  const at = `${replicas[0]!.api}/v1/grants`;
  const { body } = await store({ refresh_token: await tokenOf() });
  const old = String(body['id']);
  const further = { ...HANDLE, workload: 'key-proxy' };
  expect((await portal.send(`${at}/${old}/handles`, { method: 'POST', token: person, body: further })).status).toBe(
    201,
  );
  await world.stopProvider();
  expect((await portal.send(`${at}/${old}`, { method: 'DELETE', token: person })).status).toBe(503);
  await world.restartProvider();

  const again = await tokenOf();
  // As a login in the same browser would: the provider's new session is made to be the grant's.
  await world.query('update grants set session = $2 where id = $1', [old, decodeJwt(again)['sid']]);
  const { body: made } = await store({ refresh_token: again });
  expect(made['id']).not.toBe(old);
  expect(made['handles']).toMatchObject([{ workload: 'job' }]);
  expect((await portal.send(`${at}/${old}`, { token: person })).status).toBe(404);
  const sent = { method: 'POST', token: await job.ownToken(['grants:use']), body: { audience: 'token-exchange' } };
  const { body: used } = await job.send(`${at}/${String(made['id'])}/access-token`, sent);
  const exchange = await world.caller('token-exchange');
  const token = String(used['access_token']);
  const { body: said } = await exchange.sendForm(`${replicas[0]!.api}/introspect`, { token });
  expect(said).toMatchObject({ active: true, grant_id: made['id'] });
});

/** A token under which the tenant may have as many grants as it has, and so many more. */
async function tokenWithRoomFor(more: number): Promise<string> {
  const [{ there } = { there: 0 }] = await world.query<{ there: number }>('select count(*)::int as there from grants');
  const claims = { quotas: { 'auth-manager': { grants: there + more } } };
  return portal.tokenFor('alice', ['grants:write'], { claims });
}
const countOf = async () =>
  (
    await world.query<{ there: number; counted: number }>(
      `select (select count(*)::int from grants where tenant = c.tenant) as there, c.grants::int as counted from grant_counts c`,
    )
  )[0];

test('a tenant with a quota has exactly as many grants, however many store theirs at once over two replicas; one that is there is renewed', async () => {
  const tokens = [];
  for (let n = 0; n < 6; n += 1) tokens.push(await tokenOf());
  const token = await tokenWithRoomFor(2);
  const send = (refresh_token: string, at: number) =>
    portal.send(`${replicas[at % 2]!.api}/v1/grants`, {
      method: 'POST',
      token,
      body: { refresh_token, scopes: SCOPES },
    });
  const answers = await Promise.all(tokens.map(send));
  const outcomes = answers.map(({ status, body }) => `${status} ${String(body['code'] ?? 'stored')}`).toSorted();
  expect(outcomes).toEqual([...Array<string>(2).fill('201 stored'), ...Array<string>(4).fill('409 quota_exceeded')]);
  const after = await countOf();
  expect(after?.counted).toBe(after?.there);
  const stored = answers.findIndex(({ status }) => status === 201);
  expect((await send(tokens[stored]!, 0)).status).toBe(201);
  expect(await countOf()).toEqual(after);
});

test('a consent is not begun where a grant would be one too many; one that comes late ends so, and nothing of it lives at the provider', async () => {
  const begin = (token: string) =>
    portal.send(`${replicas[0]!.api}/v1/consents`, { method: 'POST', token, body: { scopes: SCOPES, handle: HANDLE } });
  expect((await begin(await tokenWithRoomFor(0))).body['code']).toBe('quota_exceeded');
  const { body: consent } = await begin(await tokenWithRoomFor(1));
  const { browser, callback } = await visit(world, String(consent['consent_url']));
  expect((await store({ refresh_token: await tokenOf() })).status).toBe(201);
  const before = await countOf();
  await browser.open(callback.href, 'https://portal.example.com');
  await browser.close();
  const token = await portal.tokenFor('alice', ['grants:write']);
  const { body } = await portal.send(`${replicas[0]!.api}/v1/consents/${String(consent['id'])}`, { token });
  expect(body).toMatchObject({ state: 'failed', reason: 'quota_exceeded', grant: null });
  expect(await countOf()).toEqual(before);
});
