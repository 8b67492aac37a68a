import { openBranchKeys, openLocalRootKey, sealerFor } from '@postern/branch-keys';
import { logInAs, workloadToken } from '@postern/cli';
import { openCast, openHome, quietly, startStack, type Cast, type Stack } from '@postern/dev';
import { watchTlsMaterial } from '@postern/mtls';
import { openProvider } from '@postern/oidc';
import { openPostgres } from '@postern/postgres';
import { closeInReverse, Secret } from '@postern/runtime';
import { openHeadlessBrowser } from '@postern/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { importJWK, type CryptoKey, type JWK } from 'jose';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { Agent } from 'undici';

// What becomes of a grant, from the service that sees it over bus and log to somebody else's server.

const START_MS = 480_000;
const ARRIVES_WITHIN_MS = 120_000;
const HANDLE = { workload: 'job', audiences: ['crypto-store'], scopes: ['records:read'] };
const REDIRECT = 'https://127.0.0.1/callback';

type Told = { type: string; data: Record<string, unknown>; body: string };

let stack: Stack;
let cast: Cast;
let secret = '';
const received: { headers: Record<string, string>; body: string }[] = [];
/** Of those, each verified once: what is older than five minutes a receiver takes for a replay. */
const verified: Told[] = [];
const closing = closeInReverse();

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-signals-'));
  closing.add(() => Promise.resolve(rmSync(folder, { recursive: true, force: true })));
  let host = '';
  const settings: Parameters<typeof startStack>[0]['settings'] = async ({ certificates }) => {
    const { cert, key } = certificates.of['identity-provider'];
    const server = createServer({ cert, key }, async (incoming, response) => {
      received.push({ headers: incoming.headers as Record<string, string>, body: await text(incoming) });
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.add(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const path = join(folder, 'forwarders.json');
    writeFileSync(path, JSON.stringify({ webhooks: { allow: [host] } }));
    return { 'audit-sink': { POSTERN_FORWARDERS_PATH: path } };
  };
  stack = closing.after(
    await startStack({ home: openHome(join(folder, 'home')), step: quietly, idp: 'development', settings }),
  );
  cast = closing.after(openCast(stack.state, stack.certificates));

  const token = await tokenOf('admin-ada', 'audit-sink', ['webhooks:configure']);
  const types = ['grant.reauthorization_required', 'grant.recovered', 'grant.revoked'];
  const { status, body } = await cast.portal.fetch(`${stack.state.urls['audit-sink'].api}/v1/webhooks`, {
    method: 'POST',
    token,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ url: `https://${host}/grants`, types }),
  });
  expect([status, body]).toEqual([201, expect.any(String)]);
  secret = String((JSON.parse(body) as { secret: string }).secret);
}, START_MS);
afterAll(() => closing.close());

async function tokenOf(username: string, audience: string, scopes: string[]): Promise<string> {
  const { state, certificates } = stack;
  const realm = { issuer: state.issuer, clientId: 'portal', postern: cast.portal, ca: certificates.of.portal.ca };
  const subjectToken = await logInAs({ username, password: state.users[username] ?? '' }, realm);
  return (await cast.portal.exchange({ subjectToken, audience, scopes })).accessToken;
}

function verify({ headers, body }: (typeof received)[number]): Told {
  const names = ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const;
  const said = new Webhook(secret).verify(body, Object.fromEntries(names.map((name) => [name, headers[name] ?? ''])));
  return { ...(said as Omit<Told, 'body'>), body };
}

/** What the receiver was told of a grant, each message verified as its sender's. */
async function told(grant: string, type: string): Promise<Told> {
  for (const until = Date.now() + ARRIVES_WITHIN_MS; Date.now() < until; await delay(200)) {
    verified.push(...received.slice(verified.length).map(verify));
    const one = verified.find(({ type: of, data }) => of === type && data['resource_id'] === grant);
    if (one) return one;
  }
  throw new Error(`nobody was told ${type}`);
}

/** The service's own database and keys, from beside it. */
async function besides() {
  const env = stack.environmentOf('auth-manager');
  const at = (name: string) => env[name] ?? '';
  const [cert, key, ca] = ['CERT', 'KEY', 'CA'].map((part) => at(`POSTERN_TLS_${part}_PATH`));
  const tls = closing.after(await watchTlsMaterial({ cert: cert ?? '', key: key ?? '', ca: ca ?? '' }));
  const { query } = closing.after(
    await openPostgres({ url: at('POSTERN_POSTGRES_URL'), tls, poolSize: 1, applicationName: 'spec' }),
  );
  const rootKey = closing.after(await openLocalRootKey({ path: at('POSTERN_ROOT_KEY_PATH') }));
  const keys = closing.after(
    await openBranchKeys({ query, rootKey, environment: 'development', service: 'auth-manager' }),
  );
  const clientKey = JSON.parse(readFileSync(at('POSTERN_PROVIDER_CLIENT_KEY_PATH'), 'utf8')) as JWK;
  const dispatcher = closing.after(new Agent({ connect: { ca: stack.certificates.of.portal.ca } }));
  const provider = await openProvider({
    issuer: stack.state.issuer,
    clientId: 'auth-manager',
    authentication: { method: 'private_key_jwt', key: (await importJWK(clientKey, 'ES256')) as CryptoKey },
    dispatcher,
  });
  return {
    /** The provider withdraws the token of a grant, and tells nobody; the grant's confirmation has become old. */
    async withdraw(grant: string) {
      const [row] = await query<{ tenant: string; sealed_token: Buffer }>(
        'select tenant, sealed_token from grants where id = $1',
        [grant],
      );
      const sealer = sealerFor(keys, { tenant: row?.tenant ?? '', purpose: 'grants' });
      const token = await sealer.open(row?.sealed_token ?? Buffer.alloc(0), { what: 'token', id: grant });
      await provider.revoke(new Secret(token.toString('utf8')), { hint: 'refresh_token' });
      await query("update grants set confirmed_at = now() - interval '1 hour' where id = $1", [grant]);
    },
  };
}

test(
  'a grant that breaks, recovers and is revoked is told of to a webhook, each signed, with its place in the log and nothing of the person',
  async () => {
    const { state, certificates } = stack;
    const alice = { username: 'alice', password: state.users['alice'] ?? '', redirectUri: REDIRECT };
    const token = await tokenOf('alice', 'auth-manager', ['grants:read', 'grants:write']);
    const browser = openHeadlessBrowser({ ca: certificates.of.portal.ca });
    // Both consents in one browser, in which she is logged in at the portal, are of the same login, and so of the same grant.
    const { cert, key, ca } = certificates.of.portal;
    const dispatcher = closing.after(new Agent({ connect: { cert, key, ca } }));
    const authentication = { method: 'tls_client_auth' as const };
    const atPortal = await openProvider({ issuer: state.issuer, clientId: 'portal', authentication, dispatcher });
    const login = await atPortal.startAuthorization({ redirectUri: REDIRECT, scopes: ['openid'] });
    await atPortal.redeem({ ...login, callbackUrl: await browser.login(login.url, alice) });
    const consent = async () => {
      const { id, consent_url: url } = await cast.portal.grants.startConsent(
        { scopes: HANDLE.scopes, handle: HANDLE },
        { token },
      );
      const callback = await browser.login(url, {
        ...alice,
        redirectUri: `${state.urls['auth-manager'].public}/v1/consents/callback`,
      });
      await browser.open(callback.href);
      const { state: ended, grant } = await cast.portal.consents.wait(id, { token });
      expect(ended).toBe('completed');
      return grant ?? '';
    };
    const grant = await consent();
    const { withdraw } = await besides();
    await withdraw(grant);

    const { issuer } = state;
    const subjectToken = await workloadToken({ issuer, clientId: 'job', postern: cast.job });
    const use = () => cast.job.grants.accessToken(grant, { subjectToken });
    await expect(use()).rejects.toMatchObject({ code: 'reauthorization_required' });
    const messages = [await told(grant, 'grant.reauthorization_required')];

    expect(await consent()).toBe(grant);
    messages.push(await told(grant, 'grant.recovered'));
    expect((await use()).access_token).toEqual(expect.any(String));

    await cast.portal.grants.revoke(grant, { token });
    messages.push(await told(grant, 'grant.revoked'));
    await browser.close();

    for (const { data, body } of messages) {
      expect(data).toMatchObject({
        resource_id: grant,
        leaf_index: expect.any(Number),
        checkpoint: expect.any(Object),
      });
      for (const personal of ['alice', '127.0.0.1']) expect(body.split(state.issuer).join('')).not.toContain(personal);
    }
    // Each once, and in the order in which it happened.
    const types = received.map(({ body }) => (JSON.parse(body) as Told).type);
    expect(types).toEqual(['grant.reauthorization_required', 'grant.recovered', 'grant.revoked']);
  },
  START_MS,
);
