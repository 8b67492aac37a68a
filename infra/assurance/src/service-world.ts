import { createLocalRootKeyFile } from '@postern/branch-keys';
import type { Closing } from '@postern/runtime';
import {
  DEVELOPMENT_TRUST_DOMAIN,
  inherited,
  postgresForTests,
  redisForTests,
  spiffeIdOf,
  startLeashed,
  testIssuer,
  testRun,
  WORKLOADS,
  type Leashed,
  type TestIssuer,
} from '@postern/testing';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const READY_WITHIN_MS = 180_000;
/** Where no other service of Postern is. */
export const NOBODY = 'https://127.0.0.1:1';

export type ServiceWorld = Awaited<ReturnType<typeof openServiceWorld>>;

/** How one process of the service is started: `before` stands before the program. */
type Start = { settings: Record<string, string>; management: number; logFile: string; before?: readonly string[] };

/**
 * The real servers that one service needs, an issuer of tokens, and the service migrated, to be started as processes of their own.
 *
 * @param issuers whom it trusts; by default the issuer alone. @param cacheRules of its user of the cache.
 */
export async function openServiceWorld(
  closing: Closing,
  service: 'crypto-store' | 'key-proxy',
  {
    cacheRules,
    issuers = (own) => [own],
  }: { cacheRules?: string; issuers?: (own: TestIssuer['entry']) => object[] } = {},
) {
  const [postgres, redis, issuer] = await Promise.all([postgresForTests(), redisForTests(), testIssuer()]);
  closing.add(() => Promise.all([postgres.close(), redis.close(), issuer.close()]));
  const database = await postgres.createDatabase({ service });
  closing.add(() => database.drop());
  const [leaf, bus, cache] = await Promise.all([
    postgres.authority.issue(service),
    redis.bus.user(service),
    redis.cache.user(service, cacheRules),
  ]);
  const folder = await mkdtemp(join(tmpdir(), `postern-${service}-`));
  closing.add(() => rm(folder, { recursive: true, force: true }));
  const [rootKeyPath, trustPath] = [join(folder, 'root.key'), join(folder, 'trust.json')];
  await createLocalRootKeyFile(rootKeyPath);
  const workloads = WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) }));
  const trust = { trustDomain: DEVELOPMENT_TRUST_DOMAIN, workloads, issuers: issuers(issuer.entry) };
  await writeFile(trustPath, JSON.stringify(trust));
  const env = {
    ...inherited(),
    POSTERN_ENVIRONMENT: 'development',
    POSTERN_LOG_LEVEL: 'debug',
    POSTERN_TLS_CERT_PATH: leaf.paths.cert,
    POSTERN_TLS_KEY_PATH: leaf.paths.key,
    POSTERN_TLS_CA_PATH: leaf.paths.ca,
    POSTERN_TRUST_PATH: trustPath,
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
  };
  const source = fileURLToPath(new URL(`../../../apps/${service}/src/`, import.meta.url));
  const run = (program: string, logFile: string, settings: object = {}, before: readonly string[] = []): Leashed => {
    const command = [process.execPath, ...before, join(source, program)];
    const started = startLeashed(command, { logFile, stopSignal: 'TERM', env: { ...env, ...settings } });
    started.ended.catch(() => {});
    return started;
  };
  const migration = run('db/migrate.ts', join(testRun().directory, `migrate-${randomUUID()}.log`));
  if ((await migration.exit) !== 0) throw new Error(`the migration of ${service} failed`);

  return {
    postgres,
    redis,
    issuer,
    database,
    leaf,
    cacheUrl: cache.url,
    /** A process of it, ready; it does not outlive the world. */
    async start({ settings, management, logFile, before }: Start): Promise<Leashed> {
      const started = run('main.ts', logFile, { ...settings, POSTERN_MANAGEMENT_PORT: String(management) }, before);
      closing.add(() => started.stop());
      await Promise.race([untilReady(service, `http://127.0.0.1:${management}/health/ready`), started.ended]);
      return started;
    },
  };
}

async function untilReady(service: string, url: string): Promise<void> {
  const until = performance.now() + READY_WITHIN_MS;
  while (performance.now() < until) {
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok) return;
    await delay(100);
  }
  throw new Error(`${service} was not ready in time`);
}
