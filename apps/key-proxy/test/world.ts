import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalRootKeyFile } from '@postern/branch-keys';
import { listen, type RateLimits } from '@postern/http';
import { openAgent, watchTlsMaterial } from '@postern/mtls';
import { migrate } from '@postern/postgres';
import { closeInReverse, createLogger, systemNow, type Now } from '@postern/runtime';
import {
  DEVELOPMENT_TRUST_DOMAIN,
  freePort,
  postgresForTests,
  redisForTests,
  spiffeIdOf,
  testIssuer,
  WORKLOADS,
  type Leaf,
  type TestRedisUser,
} from '@postern/testing';
import { compose } from '../src/compose.ts';
import { readConfig } from '../src/config.ts';
import { migrationSets } from '../src/db/migration-sets.ts';
import { type Caller, callerOver } from './caller.ts';
import { startExchange } from './exchange.ts';
import { startService } from './service-process.ts';

export type World = Awaited<ReturnType<typeof openWorld>>;

export type WorldOptions = { now?: Now; env?: Record<string, string>; rates?: RateLimits; withCryptoStore?: boolean };

/** A spec makes more requests a minute than one caller may. */
const unlimited: RateLimits = { consume: async () => {} };

const workloads = {
  trustDomain: DEVELOPMENT_TRUST_DOMAIN,
  workloads: WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) })),
};

/** The service with its database, its bus and its issuers, composed in this process; callers come over real mTLS. */
export async function openWorld({
  now = systemNow,
  env = {},
  rates = unlimited,
  withCryptoStore = false,
}: WorldOptions = {}) {
  const closing = closeInReverse();
  const [postgres, redis, issuer, publicPort] = await Promise.all([
    postgresForTests(),
    redisForTests(),
    testIssuer(),
    freePort(),
  ]);
  closing.add(() => postgres.close());
  closing.after(redis);
  closing.after(issuer);
  const database = await postgres.createDatabase({ service: 'key-proxy' });
  closing.add(() => database.drop());
  await migrate({ url: database.ownerUrl, tls: database.tls, sets: migrationSets, serviceRole: database.serviceRole });

  const folder = await mkdtemp(join(tmpdir(), 'key-proxy-'));
  closing.add(() => rm(folder, { recursive: true, force: true }));
  const rootKeyPath = join(folder, 'root.key');
  await createLocalRootKeyFile(rootKeyPath);
  const commonEnv = (leaf: Leaf['paths'], bus: TestRedisUser, trust: string) => ({
    POSTERN_ENVIRONMENT: 'development',
    POSTERN_ROLE: 'api',
    POSTERN_API_PORT: '0',
    POSTERN_MANAGEMENT_PORT: '0',
    POSTERN_TLS_CERT_PATH: leaf.cert,
    POSTERN_TLS_KEY_PATH: leaf.key,
    POSTERN_TLS_CA_PATH: leaf.ca,
    POSTERN_TRUST_PATH: trust,
    POSTERN_BUS_URL: bus.url,
    POSTERN_BUS_PASSWORD: bus.password,
    POSTERN_BUS_TLS_CERT_PATH: bus.paths.cert,
    POSTERN_BUS_TLS_KEY_PATH: bus.paths.key,
    POSTERN_BUS_TLS_CA_PATH: bus.paths.ca,
    POSTERN_ROOT_KEY: 'local',
    POSTERN_ROOT_KEY_PATH: rootKeyPath,
    POSTERN_AUDIT_SINK_URL: 'https://127.0.0.1:1',
  });
  const issuerUrl = `https://127.0.0.1:${publicPort}`;
  const trustPath = join(folder, 'trust.json');
  const own = { ...issuer.entry, issuer: issuerUrl, jwksUri: `${issuerUrl}/.well-known/jwks.json` };
  await writeFile(
    trustPath,
    JSON.stringify({
      ...workloads,
      issuers: [issuer.entry, { ...own, tenant: { claim: 'tenant', prefix: 'kp_' } }],
    }),
  );

  const exchange = closing.after(await startExchange(issuer, await postgres.authority.issue('token-exchange')));
  const store = withCryptoStore ? closing.after(await startCryptoStore()) : null;

  async function startCryptoStore() {
    const held = await postgres.createDatabase({ service: 'crypto-store' });
    closing.add(() => held.drop());
    const [leaf, cache, bus] = await Promise.all([
      postgres.authority.issue('crypto-store'),
      redis.cache.user('crypto-store'),
      redis.bus.user('crypto-store'),
    ]);
    const storeTrust = join(folder, 'crypto-store-trust.json');
    await writeFile(storeTrust, JSON.stringify({ ...workloads, issuers: [issuer.entry] }));
    return startService('crypto-store', {
      ...commonEnv(leaf.paths, bus, storeTrust),
      POSTERN_PUBLIC_PORT: '0',
      POSTERN_POSTGRES_URL: held.url,
      POSTERN_POSTGRES_OWNER_URL: held.ownerUrl,
      POSTERN_CACHE_URL: cache.url,
      POSTERN_CACHE_PASSWORD: cache.password,
    });
  }

  const [leaf, busUser] = await Promise.all([postgres.authority.issue('key-proxy'), redis.bus.user('key-proxy')]);
  const config = readConfig({
    ...commonEnv(leaf.paths, busUser, trustPath),
    POSTERN_PUBLIC_PORT: String(publicPort),
    POSTERN_PUBLIC_URL: issuerUrl,
    POSTERN_POSTGRES_URL: database.url,
    POSTERN_TOKEN_EXCHANGE_URL: exchange.url,
    POSTERN_CRYPTO_STORE_URL: store?.urls.api ?? 'https://127.0.0.1:1',
    ...env,
  });
  const logged: string[] = [];
  const destination = { write: (line: string) => void logged.push(line) };
  const service = closing.after(
    await compose(config, { logger: createLogger({ service: 'key-proxy', level: 'debug', destination }), now, rates }),
  );
  const listening = closing.after(await listen(service.app, { tls: service.tls, config: config.base.listen }));

  return {
    url: listening.urls.api ?? '',
    urls: listening.urls,
    issuerUrl,
    service,
    exchange,
    store,
    /** Everything that was logged, with debug logging on. */
    logged,
    /** Rows of the service's database, as its owner sees them. */
    rows: <Row>(sql: string, values: unknown[] = []) =>
      postgres.asAdmin(async (client) => (await client.query(sql, values)).rows as Row[], database.name),
    /** A token as token-exchange mints it for this service: alice of acme through the job, bound to that certificate. */
    token: (boundTo: string, scopes: readonly string[], more: object = {}) =>
      issuer.mint({ audience: 'key-proxy', scopes, boundTo, ...more }),
    async caller(workload: string): Promise<Caller> {
      const { paths } = await postgres.authority.issue(workload);
      const material = closing.after(await watchTlsMaterial(paths));
      return callerOver(closing.after(openAgent(material, { servername: 'localhost' })));
    },
    close: closing.close,
  };
}

/** What the seed's client sends to `/signup`. */
export const signUpBody = (email: string, more: object = {}) => ({
  company_name: 'Example Foods',
  contact_name: 'Alice Example',
  phone_number: '+45 12 34 56 78',
  email,
  password: 'a long enough password',
  kms_selection: 'crypto-store',
  kms_credentials: {},
  ...more,
});
