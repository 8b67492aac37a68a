import { createLocalRootKeyFile } from '@postern/branch-keys';
import { openProvider } from '@postern/oidc';
import { closeInReverse } from '@postern/runtime';
import {
  DEVELOPMENT_TRUST_DOMAIN,
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
  type Between,
  type Leashed,
  type Realm,
} from '@postern/testing';
import { openPostgres } from '@postern/postgres';
import { exportJWK, generateKeyPair } from 'jose';
import { randomUUID } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';

const app = fileURLToPath(new URL('../../../../apps/auth-manager/src/', import.meta.url));
const READY_WITHIN_MS = 180_000;
const SCOPES = ['records:read'];

/** auth-manager as processes of their own, with real servers and the development provider beside them. */
export type GrantsWorld = Awaited<ReturnType<typeof openGrantsWorld>>;

export type Used = { status: number; code: string };
export type Replica = { api: string; process: Leashed; logFile: string };

/** Opens the world; `close` ends all of it, also when opening failed. */
export async function openGrantsWorld({ rotation, between }: { rotation: Realm['rotation']; between?: Between }) {
  const closing = closeInReverse();
  try {
    const [postgres, redis, issuer] = await Promise.all([postgresForTests(), redisForTests(), testIssuer()]);
    closing.add(() => Promise.all([postgres.close(), redis.close(), issuer.close()]));
    const { authority } = postgres;
    const database = await postgres.createDatabase({ service: 'auth-manager' });
    closing.add(() => database.drop());
    const busUser = await redis.bus.user('auth-manager');
    const [leaf, providerTls] = await Promise.all([
      authority.issue('auth-manager'),
      authority.issue('identity-provider'),
    ]);
    const publicUrl = `https://127.0.0.1:${await freePort()}`;
    const clientKey = await generateKeyPair('ES256', { extractable: true });
    const redirectUri = `${publicUrl}/v1/consents/callback`;
    const provider = closing.after(
      await startIdentityProvider({
        tls: providerTls,
        ...(between && { between }),
        realm: developmentRealm({
          rotation,
          portalRedirectUris: ['https://127.0.0.1/callback'],
          authManagerRedirectUris: [redirectUri],
          authManagerJwks: { keys: [{ ...(await exportJWK(clientKey.publicKey)), alg: 'ES256', use: 'sig' }] },
        }),
      }),
    );
    const folder = await mkdtemp(join(tmpdir(), 'postern-grants-'));
    const rootKeyPath = join(folder, 'root.key');
    await createLocalRootKeyFile(rootKeyPath);
    const trustPath = join(folder, 'trust.json');
    await writeFile(trustPath, JSON.stringify(trustOf(issuer.entry)));
    const clientKeyPath = join(folder, 'client.jwk');
    await writeFile(clientKeyPath, JSON.stringify(await exportJWK(clientKey.privateKey)), { mode: 0o600 });

    const env = {
      PATH: process.env['PATH'] ?? '',
      // Many processes start here: what one has compiled the next ones find.
      NODE_COMPILE_CACHE: join(folder, 'compiled'),
      POSTERN_ENVIRONMENT: 'development',
      POSTERN_ROLE: 'api',
      POSTERN_TLS_CERT_PATH: leaf.paths.cert,
      POSTERN_TLS_KEY_PATH: leaf.paths.key,
      POSTERN_TLS_CA_PATH: leaf.paths.ca,
      POSTERN_TRUST_PATH: trustPath,
      POSTERN_POSTGRES_URL: database.url,
      POSTERN_POSTGRES_OWNER_URL: database.ownerUrl,
      POSTERN_BUS_URL: busUser.url,
      POSTERN_BUS_PASSWORD: busUser.password,
      POSTERN_BUS_TLS_CERT_PATH: busUser.paths.cert,
      POSTERN_BUS_TLS_KEY_PATH: busUser.paths.key,
      POSTERN_BUS_TLS_CA_PATH: busUser.paths.ca,
      POSTERN_ROOT_KEY: 'local',
      POSTERN_ROOT_KEY_PATH: rootKeyPath,
      POSTERN_AUDIT_SINK_URL: 'https://127.0.0.1:1',
      POSTERN_OIDC_ISSUER: provider.issuer,
      POSTERN_PROVIDER_CLIENT_KEY_PATH: clientKeyPath,
    };
    const migration = startLeashed([process.execPath, join(app, 'db/migrate.ts')], {
      logFile: join(testRun().directory, `migrate-${randomUUID()}.log`),
      stopSignal: 'TERM',
      env,
    });
    migration.ended.catch(() => {});
    if ((await migration.exit) !== 0) throw new Error('the migration failed');
    const direct = closing.after(
      await openPostgres({ url: database.url, tls: database.tls, poolSize: 2, applicationName: 'assurance' }),
    );

    const callerOf = async (workload: string) => {
      const { cert, key, ca, thumbprint } = await authority.issue(workload);
      const agent = new Agent({ connections: 64, connect: { cert, key, ca, servername: 'localhost' } });
      closing.add(() => agent.close());
      const bound = { audience: 'auth-manager', clientId: workload, boundTo: thumbprint };
      return { agent, bound };
    };
    const [portal, job] = await Promise.all([callerOf('portal'), callerOf('job')]);
    const anonymous = new Agent({ connect: { ca: leaf.ca } });
    closing.add(() => anonymous.close());

    async function send(url: string, agent: Agent, token: string, body: object) {
      const answer = await request(url, {
        dispatcher: agent,
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }).catch(named(`the connection to auth-manager broke (${url})`));
      const said = (await answer.body.json()) as { id?: string; code?: string };
      return { status: answer.statusCode, ...said };
    }

    /** alice logs in as our client, in a session of its own: the refresh token of a new family. */
    async function newFamily(): Promise<string> {
      const dpop = await generateKeyPair('ES256', { extractable: true });
      const client = await openProvider({
        issuer: provider.issuer,
        clientId: 'auth-manager',
        authentication: { method: 'private_key_jwt', key: clientKey.privateKey },
        dpop,
        dispatcher: anonymous,
        // The provider is in this process, which others may keep from running for a while.
        timeoutSeconds: 60,
      });
      const parameters = { prompt: 'consent' };
      const scopes = ['openid', 'offline_access'];
      const asked = await client.startAuthorization({ redirectUri, scopes, parameters });
      const browser = openHeadlessBrowser({ ca: leaf.ca });
      const person = { username: 'alice', password: developmentPassword('alice'), consent: true, redirectUri };
      const callbackUrl = await browser.login(asked.url, person);
      await browser.close();
      return (await client.redeem({ ...asked, callbackUrl })).refreshToken?.reveal() ?? '';
    }

    const age = (grant: string) =>
      direct.query("update grants set confirmed_at = now() - interval '1 hour' where id = $1", [grant]);

    return {
      provider,
      query: direct.query,
      age,
      /** A replica, ready. `arguments_` stand before the program. */
      async replica(overrides: Record<string, string> = {}, arguments_: readonly string[] = []): Promise<Replica> {
        const [api, publicPort, management] = await Promise.all([freePort(), freePort(), freePort()]);
        const logFile = join(testRun().directory, `auth-manager-${api}.log`);
        const ports = {
          POSTERN_API_PORT: String(api),
          POSTERN_PUBLIC_PORT: String(publicPort),
          POSTERN_MANAGEMENT_PORT: String(management),
          POSTERN_PUBLIC_URL: publicUrl,
        };
        const started = startLeashed([process.execPath, '--no-warnings', ...arguments_, join(app, 'main.ts')], {
          logFile,
          stopSignal: 'TERM',
          env: { ...env, ...ports, ...overrides },
        });
        started.ended.catch(() => {});
        closing.add(() => started.stop());
        await Promise.race([untilReady(`http://127.0.0.1:${management}/health/ready`), started.ended]);
        return { api: `https://127.0.0.1:${api}`, process: started, logFile };
      },
      /** A grant of a family of its own whose last confirmation is too old: its next use needs the provider. */
      async staleGrant({ api }: Replica): Promise<string> {
        const person = { sub: aliceOf(), subjectIssuer: provider.issuer, actors: ['portal'], scopes: ['grants:write'] };
        const token = await issuer.mint({ ...portal.bound, ...person });
        const handle = { workload: 'job', audiences: ['crypto-store'], scopes: SCOPES };
        const refreshToken = await newFamily().catch(named('a login at the provider failed'));
        const body = { refresh_token: refreshToken, scopes: SCOPES, handle };
        const { id, status, code } = await send(`${api}/v1/grants`, portal.agent, token, body);
        if (id === undefined) throw new Error(`a grant was not stored: ${status} ${code}`);
        await age(id);
        return id;
      },
      /** The job uses a grant. Rejects where the connection breaks. */
      async use({ api }: Replica, grant: string): Promise<Used> {
        const token = await issuer.mint({ ...job.bound, sub: 'job', subjectIssuer: null, scopes: ['grants:use'] });
        const path = `${api}/v1/grants/${grant}/access-token`;
        const { status, code = '' } = await send(path, job.agent, token, { audience: 'token-exchange' });
        return { status, code };
      },
      close: closing.close,
    };
  } catch (error) {
    await closing.close();
    throw error;
  }
}

const aliceOf = (): string => {
  const { users } = developmentRealm({
    portalRedirectUris: [],
    authManagerRedirectUris: [],
    authManagerJwks: { keys: [] },
  });
  return users.find(({ username }) => username === 'alice')?.id ?? '';
};

const trustOf = (entry: object) => ({
  trustDomain: DEVELOPMENT_TRUST_DOMAIN,
  workloads: WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) })),
  issuers: [entry],
});

/** Says where something failed, and the codes of what it failed with. */
const named =
  (where: string) =>
  (cause: unknown): never => {
    const codes: string[] = [];
    for (let link = cause as { code?: string; cause?: unknown } | undefined; link; link = link.cause as typeof link) {
      if (link.code !== undefined) codes.push(link.code);
    }
    throw new Error(`${where}: ${String(cause)} ${codes.join(' < ')}`, { cause });
  };

async function untilReady(url: string): Promise<void> {
  const until = performance.now() + READY_WITHIN_MS;
  while (performance.now() < until) {
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok) return;
    await delay(50);
  }
  throw new Error('auth-manager was not ready in time');
}
