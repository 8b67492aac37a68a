import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  developmentPassword,
  developmentRealm,
  freePort,
  openHeadlessBrowser,
  startIdentityProvider,
} from '@postern/testing';
import type { JWK } from 'jose';
import { Agent, request } from 'undici';
import { HANDLE, SCOPES } from './consents.ts';
import { openWorld } from './world.ts';

export type SecondRealm = Awaited<ReturnType<typeof openSecondRealm>>;

/** A second realm, at another address: the provider that the tenant globex's administrator registers. */
export async function openSecondRealm() {
  const world = await openWorld({ rotation: 'off' });
  const port = await freePort();
  const issuer = `https://127.0.0.1:${port}/realms/globex`;
  const anonymous = new Agent({ connect: { ca: world.ca } });
  const [replica, portal, job] = await Promise.all([
    world.replica({ POSTERN_PROVIDER_HOSTS: `127.0.0.1:${port}` }),
    world.caller('portal'),
    world.caller('job'),
  ]);
  const dataDir = await mkdtemp(join(tmpdir(), 'globex-'));
  let running: Awaited<ReturnType<typeof startIdentityProvider>> | undefined;

  const realmOf = (authManagerJwks: { keys: Record<string, unknown>[] }) =>
    developmentRealm({
      name: 'globex',
      portalRedirectUris: ['https://127.0.0.1/callback'],
      authManagerRedirectUris: [world.callbackUrl],
      authManagerJwks,
    });
  const alice = () => realmOf({ keys: [] }).users.find(({ username }) => username === 'alice')?.id ?? '';
  /** The second realm, knowing these keys of ours: as its administrator entered them. */
  async function startRealm(jwks: { keys: Record<string, unknown>[] }): Promise<void> {
    await running?.close();
    const tls = await world.authority.issue('identity-provider');
    running = await startIdentityProvider({ tls, realm: realmOf(jwks), port, dataDir });
  }
  const admin = (tenant = 'globex') =>
    portal.tokenFor('admin-ada', ['grants:read', 'grants:write'], { roles: ['admin'], tenant });
  const person = (scopes: string[]) =>
    portal.tokenFor('alice', scopes, { sub: alice(), subjectIssuer: issuer, tenant: 'globex' });

  return {
    world,
    replica,
    portal,
    port,
    issuer,
    alice,
    startRealm,
    person,
    ask: async (
      path: string,
      { method = 'GET', body, tenant }: { method?: string; body?: unknown; tenant?: string } = {},
    ) => portal.send(`${replica.api}/v1/providers${path}`, { method, body, token: await admin(tenant) }),
    async keysAt(uri: string) {
      const { statusCode, body } = await request(uri, { dispatcher: anonymous });
      return [statusCode, ((await body.json()) as { keys: JWK[] }).keys] as const;
    },
    async consentAt(): Promise<{ grant: unknown; state: unknown; reason: unknown }> {
      const token = await person(['grants:write']);
      const started = await portal.send(`${replica.api}/v1/consents`, {
        method: 'POST',
        token,
        body: { scopes: SCOPES, handle: HANDLE },
      });
      const browser = openHeadlessBrowser({ ca: world.ca });
      const login = { username: 'alice', password: developmentPassword('alice'), redirectUri: world.callbackUrl };
      const callback = await browser.login(String(started.body['consent_url']), login);
      await browser.open(callback.href);
      await browser.close();
      const { body } = await portal.send(`${replica.api}/v1/consents/${String(started.body['id'])}`, { token });
      return { grant: body['grant'], state: body['state'], reason: body['reason'] };
    },
    use: async (grant: unknown) =>
      job.send(`${replica.api}/v1/grants/${String(grant)}/access-token`, {
        method: 'POST',
        token: await job.ownToken(['grants:use'], { tenant: 'globex' }),
        body: { audience: 'token-exchange' },
      }),
    age: (grant: unknown) =>
      world.query("update grants set confirmed_at = now() - interval '1 hour' where id = $1", [grant]),
    async close() {
      await running?.close();
      await rm(dataDir, { recursive: true, force: true });
      await anonymous.close();
      await world.close();
    },
  };
}
