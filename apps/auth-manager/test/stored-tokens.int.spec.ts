import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { SCOPES } from './consents.ts';
import { ownLogin } from './own-login.ts';
import { openStoredTokens, type StoredTokens } from './stored-tokens.ts';

let world: StoredTokens['world'];
let replicas: StoredTokens['replicas'];
let job: StoredTokens['job'];
let store: StoredTokens['store'];
let tokenOf: StoredTokens['tokenOf'];

beforeAll(async () => {
  ({ world, replicas, job, store, tokenOf } = await openStoredTokens());
});
afterAll(() => world.close());

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
