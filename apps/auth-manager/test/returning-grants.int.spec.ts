import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { HANDLE } from './consents.ts';
import { openStoredTokens, type StoredTokens } from './stored-tokens.ts';

let world: StoredTokens['world'];
let replicas: StoredTokens['replicas'];
let portal: StoredTokens['portal'];
let job: StoredTokens['job'];
let store: StoredTokens['store'];
let tokenOf: StoredTokens['tokenOf'];

beforeAll(async () => {
  ({ world, replicas, portal, job, store, tokenOf } = await openStoredTokens());
});
afterAll(() => world.close());

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
