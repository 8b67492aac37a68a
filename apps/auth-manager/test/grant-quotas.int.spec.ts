import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { HANDLE, SCOPES, visit } from './consents.ts';
import { openStoredTokens, type StoredTokens } from './stored-tokens.ts';

let world: StoredTokens['world'];
let replicas: StoredTokens['replicas'];
let portal: StoredTokens['portal'];
let store: StoredTokens['store'];
let tokenOf: StoredTokens['tokenOf'];

beforeAll(async () => {
  ({ world, replicas, portal, store, tokenOf } = await openStoredTokens());
});
afterAll(() => world.close());

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
