import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalRootKeyFile } from '@postern/branch-keys';
import { listen, type ComposedService } from '@postern/http';
import { openAgent, watchTlsMaterial } from '@postern/mtls';
import { migrate, openPostgres } from '@postern/postgres';
import type { ProfileName } from '@postern/profile';
import { createLogger } from '@postern/runtime';
import {
  DEVELOPMENT_TRUST_DOMAIN,
  developmentRealm,
  freePort,
  postgresForTests,
  type Realm,
  redisForTests,
  spiffeIdOf,
  startIdentityProvider,
  testIssuer,
  type TestIssuer,
  WORKLOADS,
} from '@postern/testing';
import { exportJWK, generateKeyPair } from 'jose';
import { compose } from '../src/compose.ts';
import { readConfig } from '../src/config.ts';
import { migrationSets } from '../src/db/migration-sets.ts';
import type { Schema } from '../src/db/schema.ts';
import { callerOver } from './caller.ts';

export type Replica = {
  api: string;
  public: string;
  management: string;
  service: ComposedService;
  close(): Promise<void>;
};

/** Where the portal of these tests has its page. */
export const PORTAL_PAGE = 'https://portal.example.com/consents';

/** The service's world: its database, an identity provider, an issuer of Postern tokens; and as many replicas as a test wants. */
export async function openWorld({
  rotation = { maxReuse: 0 },
  announcesLogouts = true,
  adjust = (realm) => realm,
  profile = 'fedramp-moderate',
}: {
  rotation?: Realm['rotation'];
  announcesLogouts?: boolean;
  /** Changes the realm that the provider runs. */
  adjust?: (realm: Realm) => Realm;
  /** Of the provider; a replica's own is its setting. */
  profile?: ProfileName;
} = {}) {
  const [postgres, redis, issuer] = await Promise.all([postgresForTests(), redisForTests(), testIssuer()]);
  const { authority } = postgres;
  const database = await postgres.createDatabase({ service: 'auth-manager' });
  const { url, ownerUrl, tls, serviceRole } = database;
  await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole });
  const direct = await openPostgres<Schema>({ url, tls, poolSize: 4, applicationName: 'spec' });
  const busUser = await redis.bus.user('auth-manager');
  const leaf = await authority.issue('auth-manager');

  const publicPort = await freePort();
  const publicUrl = `https://127.0.0.1:${publicPort}`;
  const clientKey = await generateKeyPair('ES256', { extractable: true });
  const realm = adjust(
    developmentRealm({
      rotation,
      portalRedirectUris: ['https://127.0.0.1/callback'],
      authManagerRedirectUris: [`${publicUrl}/v1/consents/callback`],
      ...(announcesLogouts ? { authManagerLogoutUrl: `${publicUrl}/v1/backchannel-logout` } : {}),
      authManagerJwks: { keys: [{ ...(await exportJWK(clientKey.publicKey)), alg: 'ES256', use: 'sig' }] },
    }),
  );
  const subOf = (username: string) => {
    const user = realm.users.find((one) => one.username === username);
    if (!user) throw new RangeError(`no such user: ${username}`);
    return user.id;
  };
  const providerTls = await authority.issue('identity-provider');
  const providerPort = await freePort();
  const startProvider = () => startIdentityProvider({ tls: providerTls, realm, port: providerPort, dataDir, profile });

  const folder = await mkdtemp(join(tmpdir(), 'auth-manager-'));
  const dataDir = join(folder, 'provider');
  const rootKeyPath = join(folder, 'root.key');
  await createLocalRootKeyFile(rootKeyPath);
  const trustPath = join(folder, 'trust.json');
  await writeFile(trustPath, JSON.stringify(trustOf(issuer, publicUrl)));
  const clientKeyPath = join(folder, 'client.jwk');
  await writeFile(clientKeyPath, JSON.stringify(await exportJWK(clientKey.privateKey)));

  let provider = await startProvider();
  const logged: string[] = [];
  const closes: (() => unknown)[] = [];
  const env = {
    POSTERN_ENVIRONMENT: 'development',
    POSTERN_ROLE: 'api',
    POSTERN_API_PORT: '0',
    POSTERN_PUBLIC_PORT: String(publicPort),
    POSTERN_PUBLIC_URL: publicUrl,
    POSTERN_MANAGEMENT_PORT: '0',
    POSTERN_TLS_CERT_PATH: leaf.paths.cert,
    POSTERN_TLS_KEY_PATH: leaf.paths.key,
    POSTERN_TLS_CA_PATH: leaf.paths.ca,
    POSTERN_TRUST_PATH: trustPath,
    POSTERN_POSTGRES_URL: url,
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
    POSTERN_CONSENT_RETURN_TO: JSON.stringify({ portal: [PORTAL_PAGE] }),
  };

  return {
    env,
    issuer,
    authority,
    publicUrl,
    /** The private key of our client at the provider. */
    clientKey: clientKey.privateKey,
    subOf,
    callbackUrl: `${publicUrl}/v1/consents/callback`,
    ca: leaf.ca,
    /** The service's database, as its own role. */
    db: direct.db,
    query: direct.query,
    /** Everything that any replica logged, with debug logging on. */
    logged,
    provider: () => provider,
    async stopProvider() {
      await provider.close();
    },
    async restartProvider() {
      provider = await startProvider();
    },
    /** A running replica; the first one holds the public origin, others get a public port of their own. */
    async replica(overrides: Record<string, string> = {}): Promise<Replica> {
      const config = readConfig({ ...env, ...overrides });
      const destination = { write: (line: string) => void logged.push(line) };
      const logger = createLogger({ service: 'auth-manager', level: 'debug', destination });
      const service = await compose(config, { logger });
      const listening = await listen(service.app, { tls: service.tls, config: config.base.listen });
      let closed: Promise<void> | undefined;
      const close = () => (closed ??= listening.close().then(() => service.close()));
      closes.push(close);
      const { api, public: open = '', management } = listening.urls;
      return { api, public: open, management, service, close };
    },
    /** A workload of the development world. */
    async caller(workload: string) {
      const { paths, thumbprint } = await authority.issue(workload);
      const material = await watchTlsMaterial(paths);
      const agent = openAgent(material, { servername: 'localhost' });
      closes.push(() => agent.close().then(() => material.close()));
      return callerOver(agent, { issuer, realmIssuer: provider.issuer, subOf, workload, thumbprint });
    },
    async close() {
      for (const close of closes.toReversed()) await close();
      await provider.close();
      await issuer.close();
      await direct.close();
      await database.drop();
      await Promise.all([postgres.close(), redis.close()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export type World = Awaited<ReturnType<typeof openWorld>>;

const trustOf = ({ entry }: TestIssuer, publicUrl: string) => ({
  trustDomain: DEVELOPMENT_TRUST_DOMAIN,
  workloads: WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) })),
  issuers: [entry],
  // Its own, read from its database; the uri is where others read it.
  revocations: [
    {
      issuer: publicUrl,
      kinds: ['grant', 'session'],
      uri: `${publicUrl}/v1/revocations`,
      jwksUri: `${publicUrl}/.well-known/jwks.json`,
      algorithms: ['ES256'],
    },
  ],
});
