import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
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
} from '@postern/testing';
import { compose } from '../src/compose.ts';
import { readConfig } from '../src/config.ts';
import { migrationSets } from '../src/db/migration-sets.ts';
import { type CloudEndpoints } from '../src/providers/load-provider.ts';
import { type Caller, callerOver } from './caller.ts';
import { startService, type ServiceProcess } from './service-process.ts';

export type World = Awaited<ReturnType<typeof openWorld>>;

export type WorldOptions = {
  now?: Now;
  rates?: RateLimits;
  /** token-exchange and crypto-store as processes of their own; without them nobody answers there. */
  others?: boolean;
  /** audit-sink too, to which this service's relay brings its events. */
  log?: boolean;
  env?: Record<string, string>;
  /** Where emulators of the clouds answer. */
  endpoints?: CloudEndpoints;
};

/** A spec makes more requests a minute than one caller may. */
const unlimited: RateLimits = { consume: async () => {} };
const NOBODY = 'https://127.0.0.1:1';
const policyPath = join(import.meta.dirname, '../../../infra/dev/policy.json');

/** key-proxy composed in this process, over a real Postgres and Redis and, where asked for, the real other services. */
export async function openWorld({
  now = systemNow,
  rates = unlimited,
  others = false,
  log = false,
  env: more = {},
  endpoints = {},
}: WorldOptions = {}) {
  const closing = closeInReverse();
  const [postgres, redis, issuer, publicPort, exchangePort] = await Promise.all([
    postgresForTests(),
    redisForTests(),
    testIssuer(),
    freePort(),
    freePort(),
  ]);
  closing.add(() => postgres.close());
  closing.after(redis);
  closing.after(issuer);
  const folder = await mkdtemp(join(tmpdir(), 'key-proxy-'));
  closing.add(() => rm(folder, { recursive: true, force: true }));
  const rootKeyPath = join(folder, 'root.key');
  await createLocalRootKeyFile(rootKeyPath);

  const minted = (port: number, tenant: object) => {
    const origin = `https://127.0.0.1:${port}`;
    return { ...issuer.entry, issuer: origin, jwksUri: `${origin}/.well-known/jwks.json`, tenant };
  };
  const accounts = minted(publicPort, { claim: 'tenant', prefix: 'kp_' });
  const exchanged = minted(exchangePort, { claim: 'tenant' });
  // `issuer` stands for token-exchange where a spec needs a token that no exchange would give.
  const trusted = {
    'key-proxy': [issuer.entry, exchanged, accounts],
    'token-exchange': [issuer.entry, accounts],
    'crypto-store': [issuer.entry, exchanged],
    'audit-sink': [exchanged],
  };

  const revoking = {
    issuer: accounts.issuer,
    kinds: ['token', 'key'],
    uri: `${accounts.issuer}/v1/revocations`,
    jwksUri: accounts.jwksUri,
    algorithms: ['ES256'],
  };

  /** The environment of one service, its database and users made for it. */
  async function environmentOf(service: keyof typeof trusted, publicPort: number) {
    const database = await postgres.createDatabase({ service });
    closing.add(() => database.drop());
    const [{ paths }, bus, cache] = await Promise.all([
      postgres.authority.issue(service),
      redis.bus.user(service),
      redis.cache.user(service),
    ]);
    const trustPath = join(folder, `${service}-trust.json`);
    const workloads = WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) }));
    const trust = {
      trustDomain: DEVELOPMENT_TRUST_DOMAIN,
      workloads,
      issuers: trusted[service],
      ...(service === 'key-proxy' && { revocations: [revoking] }),
    };
    await writeFile(trustPath, JSON.stringify(trust));
    const env = {
      POSTERN_ENVIRONMENT: 'development',
      POSTERN_ROLE: 'api',
      POSTERN_API_PORT: '0',
      POSTERN_PUBLIC_PORT: String(publicPort),
      POSTERN_PUBLIC_URL: `https://127.0.0.1:${publicPort}`,
      POSTERN_MANAGEMENT_PORT: '0',
      POSTERN_TLS_CERT_PATH: paths.cert,
      POSTERN_TLS_KEY_PATH: paths.key,
      POSTERN_TLS_CA_PATH: paths.ca,
      POSTERN_TRUST_PATH: trustPath,
      POSTERN_POLICY_PATH: policyPath,
      POSTERN_POSTGRES_URL: database.url,
      POSTERN_POSTGRES_OWNER_URL: database.ownerUrl,
      POSTERN_CACHE_URL: cache.url,
      POSTERN_CACHE_PASSWORD: cache.password,
      POSTERN_BUS_URL: bus.url,
      POSTERN_BUS_PASSWORD: bus.password,
      POSTERN_BUS_TLS_CERT_PATH: bus.paths.cert,
      POSTERN_BUS_TLS_KEY_PATH: bus.paths.key,
      POSTERN_BUS_TLS_CA_PATH: bus.paths.ca,
      POSTERN_ROOT_KEY: 'local',
      POSTERN_ROOT_KEY_PATH: rootKeyPath,
      POSTERN_AUDIT_SINK_URL: NOBODY,
      POSTERN_TOKEN_EXCHANGE_URL: NOBODY,
    };
    /** Rows of that database, as its owner sees them. */
    const rows = <Row>(sql: string, values: unknown[] = []) =>
      postgres.asAdmin(async (client) => (await client.query(sql, values)).rows as Row[], database.name);
    return { env, database, rows };
  }

  const started = async (service: Exclude<keyof typeof trusted, 'key-proxy'>, port: number, more: object = {}) => {
    const { env, rows } = await environmentOf(service, port);
    const running: ServiceProcess = closing.after(await startService(service, { ...env, ...more }));
    return { ...running, rows };
  };
  const [exchange, store] = others
    ? await Promise.all([started('token-exchange', exchangePort), started('crypto-store', 0)])
    : [];
  const published = { POSTERN_AUDIT_PUBLISH_TO: pathToFileURL(join(folder, 'published')).href };
  const sink = log ? await started('audit-sink', 0, { POSTERN_ROLE: 'all', ...published }) : undefined;
  const addresses = {
    POSTERN_TOKEN_EXCHANGE_URL: exchange?.urls.api ?? NOBODY,
    POSTERN_CRYPTO_STORE_URL: store?.urls.api ?? NOBODY,
    POSTERN_AUDIT_SINK_URL: sink?.urls.api ?? NOBODY,
    ...(log && { POSTERN_ROLE: 'all' }),
  };

  const { env, database, rows } = await environmentOf('key-proxy', publicPort);
  await migrate({ url: database.ownerUrl, tls: database.tls, sets: migrationSets, serviceRole: database.serviceRole });
  const config = readConfig({
    ...env,
    ...addresses,
    POSTERN_PROVIDER_TIMEOUT_SECONDS: '6',
    POSTERN_SECOND_FACTOR: 'nobody',
    ...more,
  });
  const logged: string[] = [];
  const destination = { write: (line: string) => void logged.push(line) };
  const logger = createLogger({ service: 'key-proxy', level: 'debug', destination });
  const service = closing.after(await compose(config, { logger, now, rates, endpoints }));
  const listening = closing.after(await listen(service.app, { tls: service.tls, config: config.base.listen }));

  return {
    url: listening.urls.api,
    urls: listening.urls,
    issuerUrl: config.issuer,
    ca: await postgres.authority.certificate(),
    service,
    exchange,
    store,
    sink,
    redis,
    /** What this service was configured with. */
    env: {
      ...env,
      ...addresses,
      ...more,
    },
    /** Statements of one transaction of the database's owner. */
    inTransaction: (run: (statement: (sql: string, values?: unknown[]) => Promise<unknown>) => Promise<void>) =>
      postgres.asAdmin(async (client) => {
        await client.query('begin');
        await run((sql, values) => client.query(sql, values));
        await client.query('commit');
      }, database.name),
    /** Holds a table until `until` is over, and says when it does. */
    whileLocked: (table: string, locked: () => void, until: Promise<void>) =>
      postgres.asAdmin(async (client) => {
        await client.query('begin');
        await client.query(`lock table ${table} in access exclusive mode`);
        locked();
        await until;
        await client.query('rollback');
      }, database.name),
    /** Until as many statements wait for a lock that a test holds. */
    async waitsForLocks(many: number): Promise<void> {
      for (let n = 0; n < 600; n += 1) {
        const waiting = await rows(
          `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        );
        if (waiting.length >= many) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error('nobody waits for a lock');
    },
    /** Everything that was logged, with debug logging on. */
    logged,
    rows,
    /** A token as token-exchange mints it for this service: alice of acme through the job, bound to that certificate. */
    token: (boundTo: string, scopes: readonly string[], more: object = {}) =>
      issuer.mint({ audience: 'key-proxy', scopes, boundTo, actors: ['job'], ...more }),
    /** A workload's certificate and key. */
    identity: (workload: string) => postgres.authority.issue(workload),
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
