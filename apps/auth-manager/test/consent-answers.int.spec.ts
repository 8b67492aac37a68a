import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT } from 'jose';
import { problem } from '@postern/runtime';
import { claimConsent } from '../src/consents/claim-consent.ts';
import type { Vault } from '../src/grants/vault.ts';
import type { Caller } from './caller.ts';
import { startConsent, visit } from './consents.ts';
import { openWorld, PORTAL_PAGE, type Replica, type World } from './world.ts';

// What comes back to the callback: a state, and the provider's answer.
let world: World;
let replica: Replica;
let portal: Caller;

beforeAll(async () => {
  world = await openWorld();
  [replica, portal] = await Promise.all([world.replica(), world.caller('portal')]);
});
afterAll(async () => {
  await world.close();
});

const stateOf = (callback: URL): string => callback.searchParams.get('state') ?? '';
const statusOf = async (id: unknown) =>
  (
    await portal.send(`${replica.api}/v1/consents/${String(id)}`, {
      token: await portal.tokenFor('alice', ['grants:write']),
    })
  ).body;

test('R16: a state is good once, also when the callback is loaded many times at once', async () => {
  const { body } = await startConsent(portal, replica);
  const { browser, callback } = await visit(world, String(body['consent_url']));
  const answers = await Promise.all(Array.from({ length: 8 }, () => browser.open(callback.href)));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(7).fill(404)]);
  expect((await browser.open(callback.href)).status).toBe(404);
  await browser.close();
  expect(await statusOf(body['id'])).toMatchObject({ state: 'completed' });
});

test('R18: a state is good only in the browser that opened the link, and is not spoilt by another', async () => {
  const { body } = await startConsent(portal, replica);
  const { browser, callback } = await visit(world, String(body['consent_url']));
  const stranger = await visit(world, String((await startConsent(portal, replica)).body['consent_url']));
  const page = await stranger.browser.open(callback.href);
  expect([page.status, page.text]).toEqual([404, expect.stringContaining('no longer good')]);
  expect((await browser.open(callback.href)).status).toBe(200);
  await Promise.all([browser.close(), stranger.browser.close()]);
});

test('keys that cannot be had just now spoil no consent: the same answer counts once they can', async () => {
  const { body } = await startConsent(portal, replica);
  const { browser, callback } = await visit(world, String(body['consent_url']));
  const found = await world.db
    .selectFrom('consents')
    .selectAll()
    .where('id', '=', String(body['id']))
    .executeTakeFirstOrThrow();
  const open = () => Promise.reject(problem('keys_unavailable'));
  const vault = { grantsOf: () => ({ open }) } as unknown as Vault;
  const claim = claimConsent(
    { db: world.db, vault, keepRegistered: async () => {}, now: () => new Date() },
    found,
    stateOf(callback),
  );
  await expect(claim).rejects.toMatchObject({ code: 'keys_unavailable' });
  expect((await browser.open(callback.href)).status).toBe(200);
  await browser.close();
});

test('R18: a forged or expired state leads nowhere', async () => {
  const { body } = await startConsent(portal, replica);
  const { browser, callback } = await visit(world, String(body['consent_url']));
  const forged = new URL(callback);
  forged.searchParams.set('state', Buffer.alloc(32, 7).toString('base64url'));
  expect((await browser.open(forged.href)).status).toBe(404);
  await world.query("update consents set expires_at = now() - interval '1 second' where id = $1", [body['id']]);
  expect((await browser.open(callback.href)).status).toBe(404);
  expect((await browser.open(String(body['consent_url']))).status).toBe(404);
  await browser.close();
  expect(await statusOf(body['id'])).toMatchObject({ state: 'expired' });
});

test('R18: an answer that names another issuer is refused before its code is used (RFC 9207)', async () => {
  for (const change of [
    (url: URL) => url.searchParams.set('iss', 'https://evil.example'),
    (url: URL) => url.searchParams.delete('iss'),
  ]) {
    const { body } = await startConsent(portal, replica);
    const { browser, callback } = await visit(world, String(body['consent_url']));
    change(callback);
    expect((await browser.open(callback.href)).status).toBe(502);
    await browser.close();
    expect(await statusOf(body['id'])).toMatchObject({ state: 'failed', reason: 'wrong_issuer' });
  }
});

test('a person who declines is believed, and the client is told', async () => {
  const { body } = await startConsent(portal, replica, { return_to: PORTAL_PAGE, username: 'admin-ada' });
  const { browser, callback } = await visit(world, String(body['consent_url']), {
    username: 'admin-ada',
    consent: false,
  });
  const { location } = await browser.open(callback.href, 'https://portal.example.com');
  await browser.close();
  expect(location).toMatch(/outcome=denied$/);
  const token = await portal.tokenFor('admin-ada', ['grants:write']);
  const { body: status } = await portal.send(`${replica.api}/v1/consents/${String(body['id'])}`, { token });
  expect(status).toMatchObject({ state: 'denied', reason: 'access_denied', grant: null });
});

test('a code that the provider refuses ends the consent', async () => {
  const { body } = await startConsent(portal, replica);
  const { browser, callback } = await visit(world, String(body['consent_url']));
  callback.searchParams.set('code', 'forged');
  expect((await browser.open(callback.href)).status).toBe(502);
  await browser.close();
  expect(await statusOf(body['id'])).toMatchObject({ state: 'failed', reason: 'provider_refused' });
});

test('JARM: in high the provider signs its answer to the browser; a plain, changed or borrowed one is refused', async () => {
  await replica.close();
  const high = await world.replica({ POSTERN_PROFILE: 'fedramp-high', POSTERN_FIPS: 'false' });
  const plain = async (change: (url: URL) => Promise<void> | void) => {
    const { body } = await startConsent(portal, high);
    const { browser, callback } = await visit(world, String(body['consent_url']));
    expect([...callback.searchParams.keys()]).toEqual(['response']);
    await change(callback);
    const page = await browser.open(callback.href);
    await browser.close();
    const token = await portal.tokenFor('alice', ['grants:write']);
    const { body: status } = await portal.send(`${high.api}/v1/consents/${String(body['id'])}`, { token });
    return [page.status, status['state'], status['reason']];
  };
  expect(await plain(() => {})).toEqual([200, 'completed', null]);
  const unsigned = [502, 'failed', 'unsigned_response'];
  expect(
    await plain((url) => {
      const { code, state, iss } = decodeJwt(url.searchParams.get('response') ?? '');
      url.search = new URLSearchParams({ code: String(code), state: String(state), iss: String(iss) }).toString();
    }),
  ).toEqual(unsigned);
  expect(
    await plain((url) => {
      const [header, payload, signature = ''] = (url.searchParams.get('response') ?? '').split('.');
      const turned = (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1);
      url.searchParams.set('response', [header, payload, turned].join('.'));
    }),
  ).toEqual(unsigned);
  expect(
    await plain(async (url) => {
      const claims = decodeJwt(url.searchParams.get('response') ?? '');
      const { privateKey } = await generateKeyPair('ES256');
      const kid = decodeProtectedHeader(url.searchParams.get('response') ?? '').kid ?? '';
      const forged = await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey);
      url.searchParams.set('response', forged);
    }),
  ).toEqual(unsigned);
  // Neither an answer nor what was in it, nor the token of a page, is in any log, debug logging on.
  const logged = world.logged.join('\n');
  expect(logged).not.toMatch(/eyJ[\w-]{10}/);
  expect(logged).not.toMatch(/[?&](?:response|token|code|state)=/);
  await high.close();
});
