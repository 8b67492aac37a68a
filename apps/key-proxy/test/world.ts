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
} from '@postern/testing';
import { compose } from '../src/compose.ts';
import { readConfig } from '../src/config.ts';
import { migrationSets } from '../src/db/migration-sets.ts';
import { type Caller, callerOver } from './caller.ts';

export type World = Awaited<ReturnType<typeof openWorld>>;

export type WorldOptions = { now?: Now; env?: Record<string, string>; rates?: RateLimits };

/** A spec makes more requests a minute than one caller may. */
const unlimited: RateLimits = { consume: async () => {} };

/** The service with its database, its bus and its issuers, composed in this process; callers come over real mTLS. */
export async function openWorld({ now = systemNow, env = {}, rates = unlimited }: WorldOptions = {}) {
  const closing = closeInReverse();
  const [postgres, redis, exchange, publicPort] = await Promise.all([
    postgresForTests(),
    redisForTests(),
    testIssuer(),
    freePort(),
  ]);
  closing.add(() => postgres.close());
  closing.after(redis);
  closing.after(exchange);
  const database = await postgres.createDatabase({ service: 'key-proxy' });
  closing.add(() => database.drop());
  await migrate({ url: database.ownerUrl, tls: database.tls, sets: migrationSets, serviceRole: database.serviceRole });

  const folder = await mkdtemp(join(tmpdir(), 'key-proxy-'));
  closing.add(() => rm(folder, { recursive: true, force: true }));
  const rootKeyPath = join(folder, 'root.key');
  await createLocalRootKeyFile(rootKeyPath);
  const issuerUrl = `https://127.0.0.1:${publicPort}`;
  const trustPath = join(folder, 'trust.json');
  const own = { ...exchange.entry, issuer: issuerUrl, jwksUri: `${issuerUrl}/.well-known/jwks.json` };
  await writeFile(
    trustPath,
    JSON.stringify({
      trustDomain: DEVELOPMENT_TRUST_DOMAIN,
      workloads: WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) })),
      issuers: [exchange.entry, { ...own, tenant: { claim: 'tenant', prefix: 'kp_' } }],
    }),
  );

  const [leaf, busUser] = await Promise.all([postgres.authority.issue('key-proxy'), redis.bus.user('key-proxy')]);
  const config = readConfig({
    POSTERN_ENVIRONMENT: 'development',
    POSTERN_ROLE: 'api',
    POSTERN_API_PORT: '0',
    POSTERN_PUBLIC_PORT: String(publicPort),
    POSTERN_MANAGEMENT_PORT: '0',
    POSTERN_PUBLIC_URL: issuerUrl,
    POSTERN_TLS_CERT_PATH: leaf.paths.cert,
    POSTERN_TLS_KEY_PATH: leaf.paths.key,
    POSTERN_TLS_CA_PATH: leaf.paths.ca,
    POSTERN_TRUST_PATH: trustPath,
    POSTERN_POSTGRES_URL: database.url,
    POSTERN_BUS_URL: busUser.url,
    POSTERN_BUS_PASSWORD: busUser.password,
    POSTERN_BUS_TLS_CERT_PATH: busUser.paths.cert,
    POSTERN_BUS_TLS_KEY_PATH: busUser.paths.key,
    POSTERN_BUS_TLS_CA_PATH: busUser.paths.ca,
    POSTERN_ROOT_KEY: 'local',
    POSTERN_ROOT_KEY_PATH: rootKeyPath,
    POSTERN_AUDIT_SINK_URL: 'https://127.0.0.1:1',
    POSTERN_TOKEN_EXCHANGE_URL: 'https://127.0.0.1:1',
    POSTERN_CRYPTO_STORE_URL: 'https://127.0.0.1:1',
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
    /** Everything that was logged, with debug logging on. */
    logged,
    /** Rows of the service's database, as its owner sees them. */
    rows: <Row>(sql: string, values: unknown[] = []) =>
      postgres.asAdmin(async (client) => (await client.query(sql, values)).rows as Row[], database.name),
    /** A token as token-exchange mints it for this service: alice of acme through the job, bound to that certificate. */
    token: (boundTo: string, scopes: readonly string[], more: object = {}) =>
      exchange.mint({ audience: 'key-proxy', scopes, boundTo, ...more }),
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
