import { createLocalRootKeyFile } from '@postern/branch-keys';
import { busAcl } from '@postern/bus';
import { openAgent } from '@postern/mtls';
import { outboxMigrations } from '@postern/outbox';
import { migrate } from '@postern/postgres';
import { closeInReverse } from '@postern/runtime';
import {
  DEVELOPMENT_TRUST_DOMAIN,
  fixedTls,
  freePort,
  inherited,
  postgresForTests,
  redisForTests,
  spiffeIdOf,
  startLeashed,
  testIssuer,
  WORKLOADS,
} from '@postern/testing';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { request } from 'undici';
import { type ProducerTold } from './producer-told.ts';
import { supervise, type Supervised } from './supervise.ts';

const sinkSource = fileURLToPath(new URL('../../../../apps/audit-sink/src/', import.meta.url));
const producerScript = fileURLToPath(new URL('producer.ts', import.meta.url));

const KEY_WITHIN_MS = 180_000;

export type LogWorld = Awaited<ReturnType<typeof openLogWorld>>;

export type Part = { name: string } & Supervised;

/** The log with two sinks and one producer, as processes of their own over servers that nobody else uses. */
export async function openLogWorld() {
  const closing = closeInReverse();
  try {
    const [postgres, redis, issuer] = await Promise.all([
      postgresForTests({ alone: true }),
      redisForTests({ alone: true }),
      testIssuer(),
    ]);
    closing.add(() => Promise.all([postgres.close(), redis.close(), issuer.close()]));
    const folder = await mkdtemp(join(tmpdir(), 'postern-audit-'));
    const trustPath = join(folder, 'trust.json');
    const workloads = WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) }));
    const trust = { trustDomain: DEVELOPMENT_TRUST_DOMAIN, workloads, issuers: [issuer.entry] };
    await writeFile(trustPath, JSON.stringify(trust));
    const rootKeyPath = join(folder, 'root.key');
    await createLocalRootKeyFile(rootKeyPath);
    const published = join(folder, 'published');

    const part = (name: string, script: string, env: Record<string, string>): Part => {
      const supervised = supervise([process.execPath, '--no-warnings', script], {
        logFile: join(folder, `${name.replaceAll(' ', '-')}.log`),
        env: { ...inherited(), ...env },
      });
      closing.add(() => supervised.end());
      return { name, ...supervised };
    };

    const log = await postgres.createDatabase({ service: 'audit-sink' });
    const [leaf, bus] = await Promise.all([
      postgres.authority.issue('audit-sink'),
      redis.bus.user('audit-sink', busAcl('audit-sink')),
    ]);
    const sinkEnv = {
      POSTERN_ENVIRONMENT: 'development',
      POSTERN_LOG_LEVEL: 'warn',
      POSTERN_PUBLIC_PORT: '0',
      POSTERN_MANAGEMENT_PORT: '0',
      POSTERN_TLS_CERT_PATH: leaf.paths.cert,
      POSTERN_TLS_KEY_PATH: leaf.paths.key,
      POSTERN_TLS_CA_PATH: leaf.paths.ca,
      POSTERN_TRUST_PATH: trustPath,
      POSTERN_POSTGRES_URL: log.url,
      POSTERN_POSTGRES_OWNER_URL: log.ownerUrl,
      POSTERN_BUS_URL: bus.url,
      POSTERN_BUS_PASSWORD: bus.password,
      POSTERN_BUS_TLS_CERT_PATH: bus.paths.cert,
      POSTERN_BUS_TLS_KEY_PATH: bus.paths.key,
      POSTERN_BUS_TLS_CA_PATH: bus.paths.ca,
      POSTERN_ROOT_KEY: 'local',
      POSTERN_ROOT_KEY_PATH: rootKeyPath,
      POSTERN_AUDIT_PUBLISH_TO: pathToFileURL(published).href,
      POSTERN_AUDIT_PRODUCERS: 'audit-sink,crypto-store',
    };
    const { serviceRole, ownerUrl } = log;
    const sinkMigration = startLeashed([process.execPath, join(sinkSource, 'db/migrate.ts')], {
      logFile: join(folder, 'migrate.log'),
      stopSignal: 'TERM',
      env: { ...inherited(), ...sinkEnv },
    });
    sinkMigration.ended.catch(() => {});
    if ((await sinkMigration.exit) !== 0) throw new Error(`the migration of ${ownerUrl} failed for ${serviceRole}`);
    const ports = [await freePort(), await freePort()];
    const sinks = ports.map((port, i) =>
      part(`sink ${i + 1}`, join(sinkSource, 'main.ts'), { ...sinkEnv, POSTERN_API_PORT: String(port) }),
    );

    const own = await postgres.createDatabase({ service: 'crypto-store' });
    const sets = [outboxMigrations];
    await migrate({ url: own.ownerUrl, tls: own.tls, sets, serviceRole: own.serviceRole });
    const user = await redis.bus.user('crypto-store', busAcl('crypto-store'));
    const sinkUrl = `https://127.0.0.1:${ports[0]}`;
    const busOf = { url: user.url, password: user.password, paths: user.paths };
    const told = { postgresUrl: own.url, sinkUrl, paths: own.paths, bus: busOf };
    const producing = (of: ProducerTold['part']) =>
      part(of, producerScript, { PRODUCER: JSON.stringify({ ...told, part: of } satisfies ProducerTold) });

    return {
      postgres,
      redis,
      sinks,
      callers: producing('callers'),
      relay: producing('relay'),
      published,
      folder,
      /** The verifier line of the log, as an auditor would have fetched it. */
      async logKey(): Promise<string> {
        const agent = openAgent(fixedTls(await postgres.authority.issue('portal')));
        const read = async () =>
          (await (await request(`${sinkUrl}/v1/log/key`, { dispatcher: agent })).body.text()).trim();
        try {
          // A sink that was killed a moment ago may still be on its way back.
          for (const end = performance.now() + KEY_WITHIN_MS; performance.now() < end; await delay(1_000)) {
            const key = await read().catch(() => null);
            if (key !== null) return key;
          }
          return await read();
        } finally {
          await agent.close();
        }
      },
      outputOf: ({ logFile }: Part) => readFile(logFile, 'utf8').catch(() => ''),
      close: closing.close,
    };
  } catch (error) {
    await closing.close();
    throw error;
  }
}
