import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLocalRootKeyFile } from '@postern/branch-keys';
import type { MtlsAgent } from '@postern/mtls';
import { openProvider, type IssuerEntry } from '@postern/oidc';
import { closeInReverse } from '@postern/runtime';
import {
  DEVELOPMENT_TRUST_DOMAIN,
  developmentCa,
  developmentPassword,
  developmentRealm,
  freePort,
  openHeadlessBrowser,
  postgresForTests,
  redisForTests,
  spiffeIdOf,
  startIdentityProvider,
  startLeashed,
  testIssuer,
  testRun,
  WORKLOADS,
  type Realm,
} from '@postern/testing';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { Agent, request } from 'undici';

const source = join(import.meta.dirname, '../../auth-manager/src');
const READY_WITHIN_MS = 60_000;

/** What alice consents to, and what her job may have of it: one scope of the realm's own, one of Postern's. */
export const SCOPES = ['files:read', 'records:read'];
const HANDLE = { workload: 'job', audiences: ['portal', 'job', 'crypto-store'], scopes: SCOPES };

/** What a provider has to know of auth-manager as its client. */
export type Client = { redirectUri: string; jwk: JWK };
/** A provider that knows it, and alice there. */
export type At = { issuer: string; alice: string; password: string };

/** The development provider, and auth-manager as a process of its own that is its client. */
export async function openAuthManager() {
  const closing = closeInReverse();
  const folder = await mkdtemp(join(tmpdir(), 'provider-'));
  closing.add(() => rm(folder, { recursive: true, force: true }));
  const [tls, port] = [await developmentCa().issue('identity-provider'), await freePort()];
  const start = (realm: Realm) => startIdentityProvider({ tls, realm, port, dataDir: folder });
  let provider: Awaited<ReturnType<typeof start>>;
  let realm: Realm;
  let runs = false;
  async function stopProvider() {
    if (runs) await provider.close();
    runs = false;
  }
  closing.add(stopProvider);
  async function startProvider(changed: Realm) {
    provider = await start(changed);
    runs = true;
    return provider;
  }
  try {
    const manager = closing.after(
      await openAuthManagerAt(async ({ redirectUri, jwk }) => {
        realm = realmOf(redirectUri, jwk);
        const { issuer } = await startProvider(realm);
        const alice = realm.users.find(({ username }) => username === 'alice')?.id ?? '';
        return { issuer, alice, password: developmentPassword('alice') };
      }),
    );
    return {
      ...manager,
      /** Ends alice's offline sessions as their idle time would: nobody is told. */
      expireOfflineSessions: () => provider.expireOfflineSessions('alice', 'auth-manager'),
      stopProvider,
      /** Starts it again, with what it had; `adjust` changes the realm. */
      async restartProvider(adjust: (realm: Realm) => Realm = (same) => same) {
        await stopProvider();
        await startProvider(adjust(realm));
      },
      close: closing.close,
    };
  } catch (error) {
    await closing.close();
    throw error;
  }
}

export type AuthManager = Awaited<ReturnType<typeof openAuthManager>>;

/** auth-manager as a process of its own, the client of a provider that `provide` makes know it. */
export async function openAuthManagerAt(provide: (client: Client) => Promise<At>) {
  const closing = closeInReverse();
  try {
    const [postgres, redis, issuer] = await Promise.all([postgresForTests(), redisForTests(), testIssuer()]);
    closing.add(() => Promise.all([postgres.close(), redis.close(), issuer.close()]));
    const database = await postgres.createDatabase({ service: 'auth-manager' });
    closing.add(() => database.drop());
    const busUser = await redis.bus.user('auth-manager');
    const leaf = await postgres.authority.issue('auth-manager');
    const folder = await mkdtemp(join(tmpdir(), 'auth-manager-'));
    closing.add(() => rm(folder, { recursive: true, force: true }));
    const [apiPort, publicPort, managementPort] = [await freePort(), await freePort(), await freePort()];
    const [api, publicUrl] = [`https://127.0.0.1:${apiPort}`, `https://127.0.0.1:${publicPort}`];
    const clientKey = await generateKeyPair('ES256', { extractable: true });
    const redirectUri = `${publicUrl}/v1/consents/callback`;
    const provider = await provide({ redirectUri, jwk: await exportJWK(clientKey.publicKey) });
    const { alice } = provider;

    const at = (name: string) => join(folder, name);
    await createLocalRootKeyFile(at('root.key'));
    await writeFile(at('trust.json'), JSON.stringify(trustOf(issuer.entry)));
    await writeFile(at('client.jwk'), JSON.stringify(await exportJWK(clientKey.privateKey)), { mode: 0o600 });
    const env = {
      PATH: process.env['PATH'] ?? '',
      POSTERN_ENVIRONMENT: 'development',
      POSTERN_ROLE: 'api',
      POSTERN_API_PORT: String(apiPort),
      POSTERN_PUBLIC_PORT: String(publicPort),
      POSTERN_MANAGEMENT_PORT: String(managementPort),
      POSTERN_PUBLIC_URL: publicUrl,
      POSTERN_TLS_CERT_PATH: leaf.paths.cert,
      POSTERN_TLS_KEY_PATH: leaf.paths.key,
      POSTERN_TLS_CA_PATH: leaf.paths.ca,
      POSTERN_TRUST_PATH: at('trust.json'),
      POSTERN_POSTGRES_URL: database.url,
      POSTERN_POSTGRES_OWNER_URL: database.ownerUrl,
      POSTERN_BUS_URL: busUser.url,
      POSTERN_BUS_PASSWORD: busUser.password,
      POSTERN_BUS_TLS_CERT_PATH: busUser.paths.cert,
      POSTERN_BUS_TLS_KEY_PATH: busUser.paths.key,
      POSTERN_BUS_TLS_CA_PATH: busUser.paths.ca,
      POSTERN_ROOT_KEY: 'local',
      POSTERN_ROOT_KEY_PATH: at('root.key'),
      POSTERN_AUDIT_SINK_URL: 'https://127.0.0.1:1',
      POSTERN_OIDC_ISSUER: provider.issuer,
      POSTERN_PROVIDER_CLIENT_KEY_PATH: at('client.jwk'),
      POSTERN_PROVIDER_SCOPES: 'files:read',
    };
    const run = (program: string) => {
      const logFile = join(testRun().directory, `auth-manager-${randomUUID()}.log`);
      const started = startLeashed([process.execPath, '--no-warnings', join(source, program)], {
        logFile,
        stopSignal: 'TERM',
        env,
      });
      started.ended.catch(() => {});
      return started;
    };
    if ((await run('db/migrate.ts').exit) !== 0) throw new Error('the migration failed');
    const service = run('main.ts');
    closing.add(() => service.stop());
    await Promise.race([untilReady(`http://127.0.0.1:${managementPort}/health/ready`), service.ended]);

    /** alice logs in as auth-manager's client: the refresh token that a portal would store. */
    async function refreshToken(): Promise<string> {
      const dispatcher = new Agent({ connect: { ca: leaf.ca } });
      const client = await openProvider({
        issuer: provider.issuer,
        clientId: 'auth-manager',
        authentication: { method: 'private_key_jwt', key: clientKey.privateKey },
        dpop: await generateKeyPair('ES256', { extractable: true }),
        dispatcher,
      });
      const scopes = ['openid', 'offline_access', 'files:read'];
      const asked = await client.startAuthorization({ redirectUri, scopes, parameters: { prompt: 'consent' } });
      const browser = openHeadlessBrowser({ ca: leaf.ca });
      const person = { username: 'alice', password: provider.password, consent: true, redirectUri };
      const callbackUrl = await browser.login(asked.url, person);
      await browser.close();
      const redeemed = await client.redeem({ ...asked, callbackUrl });
      await dispatcher.close();
      return redeemed.refreshToken?.reveal() ?? '';
    }

    /** alice through the portal, or the job for itself; the token is bound to the caller's certificate. */
    const tokenOf = (by: Workload, scope: string, forAlice: boolean) =>
      issuer.mint({
        audience: 'auth-manager',
        clientId: by.workload,
        boundTo: by.thumbprint,
        scopes: [scope],
        ...(forAlice
          ? { sub: alice, subjectIssuer: provider.issuer, actors: [by.workload] }
          : { sub: by.workload, subjectIssuer: null }),
      });
    async function send(by: Workload, method: 'POST' | 'DELETE', path: string, token: string, body?: object) {
      const answer = await request(`${api}${path}`, {
        dispatcher: by.agent,
        method,
        headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
        body: body ? JSON.stringify(body) : null,
      });
      const text = await answer.body.text();
      if (answer.statusCode >= 300) throw new Error(`${path}: ${answer.statusCode} ${text}`);
      return (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
    }

    return {
      api,
      alice,
      tokenEndpoint: `${provider.issuer}/protocol/openid-connect/token`,
      /** As token-exchange trusts them. */
      realmEntry: entryOf(provider.issuer, `${provider.issuer}/protocol/openid-connect/certs`, 'provider-access'),
      grantsEntry: entryOf(publicUrl, `${publicUrl}/.well-known/jwks.json`, 'grant'),
      /** A grant of alice's that the portal stores for the job. */
      async grant(portal: Workload): Promise<string> {
        const body = { refresh_token: await refreshToken(), scopes: SCOPES, handle: HANDLE };
        return String(
          (await send(portal, 'POST', '/v1/grants', await tokenOf(portal, 'grants:write', true), body))['id'],
        );
      },
      async revoke(portal: Workload, grant: string): Promise<void> {
        await send(portal, 'DELETE', `/v1/grants/${grant}`, await tokenOf(portal, 'grants:write', true));
      },
      /** G: the job's token of that grant. */
      async grantToken(job: Workload, grant: string): Promise<string> {
        const token = await tokenOf(job, 'grants:use', false);
        const path = `/v1/grants/${grant}/access-token`;
        return String((await send(job, 'POST', path, token, { audience: 'token-exchange' }))['access_token']);
      },
      /** Ends auth-manager in the middle of whatever it does. */
      kill: () => service.kill(),
      close: closing.close,
    };
  } catch (error) {
    await closing.close();
    throw error;
  }
}

export type AuthManagerAt = Awaited<ReturnType<typeof openAuthManagerAt>>;
export type Workload = { workload: string; thumbprint: string; agent: MtlsAgent };

/** The development realm, in which a grant may reach `portal` through the realm itself. */
function realmOf(redirectUri: string, jwk: JWK): Realm {
  const realm = developmentRealm({
    portalRedirectUris: ['https://127.0.0.1/callback'],
    authManagerRedirectUris: [redirectUri],
    authManagerJwks: { keys: [{ ...jwk, alg: 'ES256', use: 'sig' }] },
  });
  return {
    ...realm,
    scopes: [
      ...realm.scopes,
      { name: 'files:read', description: 'Read files', inToken: true, audience: 'portal' },
      { name: 'files:write', description: 'Write files', inToken: true },
    ],
    clients: realm.clients.map((client) =>
      client.clientId === 'auth-manager'
        ? { ...client, optionalScopes: [...client.optionalScopes, 'files:read'] }
        : client,
    ),
  };
}

const trustOf = (entry: IssuerEntry) => ({
  trustDomain: DEVELOPMENT_TRUST_DOMAIN,
  workloads: WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) })),
  issuers: [entry],
});

const entryOf = (issuer: string, jwksUri: string, kind: 'provider-access' | 'grant'): IssuerEntry => ({
  issuer,
  jwksUri,
  kinds: [kind],
  algorithms: ['ES256'],
  scopeCeiling: 'policy',
  tenant: kind === 'grant' ? { claim: 'tenant' } : { fixed: 'acme' },
});

async function untilReady(url: string): Promise<void> {
  const until = performance.now() + READY_WITHIN_MS;
  while (performance.now() < until) {
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok) return;
    await sleep(50);
  }
  throw new Error('auth-manager was not ready in time');
}
