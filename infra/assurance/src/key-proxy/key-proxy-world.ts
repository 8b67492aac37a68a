import { createLocalRootKeyFile } from '@postern/branch-keys';
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
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';

const app = fileURLToPath(new URL('../../../../apps/key-proxy/src/', import.meta.url));
const READY_WITHIN_MS = 60_000;
const NOBODY = 'https://127.0.0.1:1';

/** key-proxy as a process of its own, with real servers beside it and an issuer of tokens. */
export type KeyProxyWorld = Awaited<ReturnType<typeof openKeyProxyWorld>>;

export type Asked = { method: string; path: string; headers?: Record<string, string>; body?: string };
export type Said = { status: number; text: string };

/** Opens the world; `arguments_` stand before the program. `close` ends all of it, also when opening failed. */
export async function openKeyProxyWorld(settings: Record<string, string> = {}, arguments_: readonly string[] = []) {
  const closing = closeInReverse();
  try {
    const [postgres, redis, issuer] = await Promise.all([postgresForTests(), redisForTests(), testIssuer()]);
    closing.add(() => Promise.all([postgres.close(), redis.close(), issuer.close()]));
    const database = await postgres.createDatabase({ service: 'key-proxy' });
    closing.add(() => database.drop());
    const [leaf, bus, cache] = await Promise.all([
      postgres.authority.issue('key-proxy'),
      redis.bus.user('key-proxy'),
      redis.cache.user('key-proxy'),
    ]);
    const folder = await mkdtemp(join(tmpdir(), 'postern-key-proxy-'));
    closing.add(() => rm(folder, { recursive: true, force: true }));
    await createLocalRootKeyFile(join(folder, 'root.key'));
    const workloads = WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) }));
    const [api, publicPort, management] = await Promise.all([freePort(), freePort(), freePort()]);
    const [apiUrl, publicUrl] = [`https://127.0.0.1:${api}`, `https://127.0.0.1:${publicPort}`];
    const accounts = { ...issuer.entry, issuer: publicUrl, jwksUri: `${publicUrl}/.well-known/jwks.json` };
    const issuers = [issuer.entry, { ...accounts, tenant: { claim: 'tenant', prefix: 'kp_' } }];
    await writeFile(
      join(folder, 'trust.json'),
      JSON.stringify({ trustDomain: DEVELOPMENT_TRUST_DOMAIN, workloads, issuers }),
    );
    const env = {
      PATH: process.env['PATH'] ?? '',
      POSTERN_ENVIRONMENT: 'development',
      POSTERN_LOG_LEVEL: 'debug',
      POSTERN_ROLE: 'api',
      POSTERN_API_PORT: String(api),
      POSTERN_PUBLIC_PORT: String(publicPort),
      POSTERN_MANAGEMENT_PORT: String(management),
      POSTERN_PUBLIC_URL: publicUrl,
      POSTERN_TLS_CERT_PATH: leaf.paths.cert,
      POSTERN_TLS_KEY_PATH: leaf.paths.key,
      POSTERN_TLS_CA_PATH: leaf.paths.ca,
      POSTERN_TRUST_PATH: join(folder, 'trust.json'),
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
      POSTERN_ROOT_KEY_PATH: join(folder, 'root.key'),
      POSTERN_AUDIT_SINK_URL: NOBODY,
      POSTERN_TOKEN_EXCHANGE_URL: NOBODY,
      POSTERN_CRYPTO_STORE_URL: NOBODY,
      POSTERN_SECOND_FACTOR: 'nobody',
      ...settings,
    };
    const logFile = join(testRun().directory, `key-proxy-${randomUUID()}.log`);
    const started = (program: string, before: readonly string[] = []) => {
      const command = [process.execPath, ...before, join(app, program)];
      const process_ = startLeashed(command, { logFile, stopSignal: 'TERM', env });
      process_.ended.catch(() => {});
      return process_;
    };
    if ((await started('db/migrate.ts').exit) !== 0) throw new Error('the migration failed');
    const server = started('main.ts', arguments_);
    closing.add(() => server.stop());
    await Promise.race([untilReady(`http://127.0.0.1:${management}/health/ready`), server.ended]);

    const send = async (dispatcher: Agent, url: string, { method, path, headers, body }: Asked): Promise<Said> => {
      const answer = await request(`${url}${path}`, {
        dispatcher,
        method: method as 'GET',
        headers: headers ?? {},
        body: body ?? null,
      });
      return { status: answer.statusCode, text: await answer.body.text() };
    };
    return {
      postgres,
      redis,
      database,
      management: `http://127.0.0.1:${management}`,
      log: () => readFile(logFile, 'utf8'),
      /** A workload at the api listener, and tokens that are bound to its certificate. */
      async clientOf(workload: string) {
        const { cert, key, ca, thumbprint } = await postgres.authority.issue(workload);
        const agent = new Agent({ connections: 16, connect: { cert, key, ca, servername: 'localhost' } });
        closing.add(() => agent.close());
        return {
          send: (asked: Asked) => send(agent, apiUrl, asked),
          token: (scopes: readonly string[], more: object = {}) =>
            issuer.mint({ audience: 'key-proxy', scopes, boundTo: thumbprint, actors: [workload], ...more }),
        };
      },
      /** Requests to the public listener from one address, over a connection of its own. */
      from(localAddress: string) {
        const agent = new Agent({ localAddress, connect: { ca: leaf.ca } });
        closing.add(() => agent.close());
        return async (path: string, body: object, token?: string): Promise<Said & { ms: number }> => {
          const begun = performance.now();
          const headers = {
            'content-type': 'application/json',
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          };
          const said = await send(agent, publicUrl, {
            method: 'POST',
            path,
            headers,
            body: JSON.stringify(body),
          });
          return { ...said, ms: performance.now() - begun };
        };
      },
      close: closing.close,
    };
  } catch (error) {
    await closing.close();
    throw error;
  }
}

async function untilReady(url: string): Promise<void> {
  const until = performance.now() + READY_WITHIN_MS;
  while (performance.now() < until) {
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok) return;
    await delay(100);
  }
  throw new Error('key-proxy was not ready in time');
}
