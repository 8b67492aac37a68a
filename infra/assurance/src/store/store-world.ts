import { createLocalRootKeyFile } from '@postern/branch-keys';
import { createPostern, type Postern } from '@postern/client';
import { closeInReverse } from '@postern/runtime';
import {
  DEVELOPMENT_TRUST_DOMAIN,
  freePort,
  postgresForTests,
  redisForTests,
  spiffeIdOf,
  startLeashed,
  testIssuer,
  testRun,
  WORKLOADS,
} from '@postern/testing';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const app = fileURLToPath(new URL('../../../../apps/crypto-store/src/', import.meta.url));
const RECORD_SCOPES = ['records:read', 'records:write', 'records:audit'];
const READY_WITHIN_MS = 60_000;

/** crypto-store as processes of their own, with real servers beside them and an issuer of tokens. */
export type StoreWorld = Awaited<ReturnType<typeof openStoreWorld>>;

export type Replica = {
  url: string;
  management: string;
  /** A workload's client of this replica. */
  clientOf(workload: string, scopes?: readonly string[]): Promise<Client>;
  /** What the process wrote to its log so far. */
  log(): Promise<string>;
  kill(): Promise<void>;
};

export type Client = { postern: Postern; as: { token: string }; token: string };

/** Opens the world; `close` ends all of it, also when opening failed. */
export async function openStoreWorld() {
  const closing = closeInReverse();
  try {
    const [postgres, redis, issuer] = await Promise.all([postgresForTests(), redisForTests(), testIssuer()]);
    closing.add(() => Promise.all([postgres.close(), redis.close(), issuer.close()]));
    const database = await postgres.createDatabase({ service: 'crypto-store' });
    closing.add(() => database.drop());
    const cacheUser = await redis.cache.user('crypto-store', '~crypto-store:* +@all -@admin -@dangerous');
    const busUser = await redis.bus.user('crypto-store');
    const [leaf, busLeaf] = await Promise.all([
      postgres.authority.issue('crypto-store'),
      redis.bus.authority.issue('crypto-store'),
    ]);
    const folder = await mkdtemp(join(tmpdir(), 'postern-store-'));
    const rootKeyPath = join(folder, 'root.key');
    await createLocalRootKeyFile(rootKeyPath);
    const trustPath = join(folder, 'trust.json');
    await writeFile(trustPath, JSON.stringify(trustOf(issuer.entry)));

    const env = {
      PATH: process.env['PATH'] ?? '',
      POSTERN_ENVIRONMENT: 'development',
      POSTERN_LOG_LEVEL: 'debug',
      POSTERN_TLS_CERT_PATH: leaf.paths.cert,
      POSTERN_TLS_KEY_PATH: leaf.paths.key,
      POSTERN_TLS_CA_PATH: leaf.paths.ca,
      POSTERN_TRUST_PATH: trustPath,
      POSTERN_POSTGRES_URL: database.url,
      POSTERN_POSTGRES_OWNER_URL: database.ownerUrl,
      POSTERN_CACHE_URL: cacheUser.url,
      POSTERN_CACHE_PASSWORD: cacheUser.password,
      POSTERN_BUS_URL: busUser.url,
      POSTERN_BUS_PASSWORD: busUser.password,
      POSTERN_BUS_TLS_CERT_PATH: busLeaf.paths.cert,
      POSTERN_BUS_TLS_KEY_PATH: busLeaf.paths.key,
      POSTERN_BUS_TLS_CA_PATH: busLeaf.paths.ca,
      POSTERN_ROOT_KEY: 'local',
      POSTERN_ROOT_KEY_PATH: rootKeyPath,
      POSTERN_AUDIT_SINK_URL: 'https://127.0.0.1:1',
    };
    const migration = startLeashed([process.execPath, join(app, 'db/migrate.ts')], {
      logFile: join(testRun().directory, `migrate-${randomUUID()}.log`),
      stopSignal: 'TERM',
      env,
    });
    migration.ended.catch(() => {});
    if ((await migration.exit) !== 0) throw new Error('the migration failed');

    const clientAt = async (
      url: string,
      workload: string,
      scopes: readonly string[] = RECORD_SCOPES,
    ): Promise<Client> => {
      const identity = await postgres.authority.issue(workload);
      const postern = createPostern({ tls: () => identity, urls: { cryptoStore: url } });
      closing.add(() => postern.close());
      const bound = { clientId: workload, actors: [workload], boundTo: identity.thumbprint };
      const token = await issuer.mint({ audience: 'crypto-store', scopes, ...bound });
      return { postern, as: { token }, token };
    };

    return {
      postgres,
      redis,
      issuer,
      database,
      cacheUrl: cacheUser.url,
      /** A replica with settings of its own, ready; `arguments_` stand before the program. */
      async replica(overrides: Record<string, string> = {}, arguments_: readonly string[] = []): Promise<Replica> {
        const [api, publicPort, management] = await Promise.all([freePort(), freePort(), freePort()]);
        const logFile = join(testRun().directory, `crypto-store-${api}.log`);
        const ports = {
          POSTERN_API_PORT: String(api),
          POSTERN_PUBLIC_PORT: String(publicPort),
          POSTERN_MANAGEMENT_PORT: String(management),
          POSTERN_PUBLIC_URL: `https://127.0.0.1:${api}`,
        };
        const server = startLeashed([process.execPath, ...arguments_, join(app, 'main.ts')], {
          logFile,
          stopSignal: 'TERM',
          env: { ...env, ...ports, ...overrides },
        });
        server.ended.catch(() => {});
        closing.add(() => server.stop());
        const url = `https://127.0.0.1:${api}`;
        await Promise.race([untilReady(`http://127.0.0.1:${management}/health/ready`), server.ended]);
        return {
          url,
          management: `http://127.0.0.1:${management}`,
          clientOf: (workload, scopes) => clientAt(url, workload, scopes),
          log: () => readFile(logFile, 'utf8'),
          kill: () => server.kill(),
        };
      },
      close: closing.close,
    };
  } catch (error) {
    await closing.close();
    throw error;
  }
}

const trustOf = (entry: object) => ({
  trustDomain: DEVELOPMENT_TRUST_DOMAIN,
  workloads: WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) })),
  issuers: [entry],
});

async function untilReady(url: string): Promise<void> {
  const until = performance.now() + READY_WITHIN_MS;
  while (performance.now() < until) {
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok) return;
    await delay(100);
  }
  throw new Error('crypto-store was not ready in time');
}
