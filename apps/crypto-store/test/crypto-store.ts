import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLocalRootKeyFile, openBranchKeys, openLocalRootKey } from '@postern/branch-keys';
import { listen, type ComposedService, type Listening } from '@postern/http';
import { openAgent, watchTlsMaterial } from '@postern/mtls';
import { type IssuerEntry } from '@postern/oidc';
import { openAudit } from '@postern/outbox';
import { migrate, openPostgres } from '@postern/postgres';
import { createLogger } from '@postern/runtime';
import {
  DEVELOPMENT_TRUST_DOMAIN,
  postgresForTests,
  redisForTests,
  spiffeIdOf,
  testIssuer,
  WORKLOADS,
  type MintOptions,
  type TestIssuer,
} from '@postern/testing';
import { request, type Dispatcher } from 'undici';
import { compose } from '../src/compose.ts';
import { readConfig } from '../src/config.ts';
import { migrationSets } from '../src/db/migration-sets.ts';
import { type Schema } from '../src/db/schema.ts';
import { sweepRecords } from '../src/records/sweep-records.ts';

/** One answer: its bytes, and its body parsed where that is JSON. */
export type Reply = {
  status: number;
  bytes: Buffer;
  body: Record<string, unknown>;
  headers: Record<string, string>;
};

export type Sent = {
  method?: string;
  /** Bytes go as they are, with their type in `headers`; anything else as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
  token?: string | null;
};

/** A workload with a certificate, and tokens bound to it. */
export type Caller = {
  dispatcher: Dispatcher;
  thumbprint: string;
  token(options?: Partial<MintOptions>): Promise<string>;
  send(url: string, options?: Sent): Promise<Reply>;
  /** A request about one record. */
  record(url: string, key: string, options?: Sent & { path?: string }): Promise<Reply>;
  put(url: string, key: string, payload: string | Buffer, headers?: Record<string, string>): Promise<Reply>;
  /** The random id under which a record's rows and events are. */
  idOf(url: string, key: string): Promise<string>;
  store(url: string, key: string, payload: string): Promise<Reply>;
  retrieve(url: string, key: string): Promise<Reply>;
};

export type Replica = {
  /** Of the api listener. */
  url: string;
  urls: Listening['urls'];
  service: ComposedService;
  close(): Promise<void>;
};

/** An issuer that the service believes, by its line in the operator's table. */
export type Trusted = { entry: IssuerEntry };

/** The service's world: its database, both Redis, an issuer, a root key; and as many replicas as a test wants. */
export async function openWorld({ issuers = [] }: { issuers?: readonly Trusted[] } = {}) {
  const [postgres, redis, issuer] = await Promise.all([postgresForTests(), redisForTests(), testIssuer()]);
  const database = await postgres.createDatabase({ service: 'crypto-store' });
  const { url, ownerUrl, tls, serviceRole } = database;
  await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole });
  const cacheUser = await redis.cache.user('crypto-store', '~crypto-store:* +@all -@admin -@dangerous');
  const busUser = await redis.bus.user('crypto-store');
  const [leaf, busLeaf] = await Promise.all([
    postgres.authority.issue('crypto-store'),
    redis.bus.authority.issue('crypto-store'),
  ]);
  const folder = await mkdtemp(join(tmpdir(), 'crypto-store-'));
  const rootKeyPath = join(folder, 'root.key');
  await createLocalRootKeyFile(rootKeyPath);
  const trustPath = join(folder, 'trust.json');
  await writeFile(trustPath, JSON.stringify(trustOf([issuer, ...issuers])));
  const logged: string[] = [];
  const closes: (() => unknown)[] = [];

  const env = {
    POSTERN_ENVIRONMENT: 'development',
    POSTERN_ROLE: 'api',
    POSTERN_API_PORT: '0',
    POSTERN_PUBLIC_PORT: '0',
    POSTERN_MANAGEMENT_PORT: '0',
    POSTERN_TLS_CERT_PATH: leaf.paths.cert,
    POSTERN_TLS_KEY_PATH: leaf.paths.key,
    POSTERN_TLS_CA_PATH: leaf.paths.ca,
    POSTERN_TRUST_PATH: trustPath,
    POSTERN_POSTGRES_URL: url,
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
    POSTERN_DESTROYED_KEYS_PATH: join(folder, 'destroyed-keys.jsonl'),
    POSTERN_DESTRUCTION_WAIT_HOURS: '1',
  };

  return {
    postgres,
    redis,
    issuer,
    database,
    cacheUrl: cacheUser.url,
    /** Everything that any replica logged, with debug logging on. */
    logged,
    /** A running replica, on ports of its own. */
    async replica(overrides: Record<string, string> = {}, also: { now?: () => Date } = {}): Promise<Replica> {
      const config = readConfig({ ...env, ...overrides });
      const destination = { write: (line: string) => void logged.push(line) };
      const logger = createLogger({ service: 'crypto-store', level: 'debug', destination });
      const service = await compose(config, { logger, ...also });
      const listening = await listen(service.app, { tls: service.tls, config: config.base.listen });
      let closed: Promise<void> | undefined;
      const close = () => (closed ??= listening.close().then(() => service.close()));
      closes.push(close);
      return { url: listening.urls.api, urls: listening.urls, service, close };
    },
    /** What a worker does once a minute. */
    async sweep() {
      const { db, ...postgres } = await openPostgres<Schema>({ url, tls, applicationName: 'sweep' });
      const logger = createLogger({ service: 'crypto-store', level: 'error' });
      const audit = await openAudit({ postgres, producer: 'crypto-store', logger });
      const deps = { db, audit, service: 'crypto-store', deletedDays: 30, now: () => new Date() };
      while ((await sweepRecords(deps)) > 0);
      await audit.close();
      await postgres.close();
    },
    /** Rotates a tenant's branch key behind the back of every replica. */
    async rotate(tenant: string, purpose: string): Promise<void> {
      const rootKey = await openLocalRootKey({ path: rootKeyPath });
      const handle = await openPostgres({ url, tls, applicationName: 'rotation' });
      const { query } = handle;
      const keys = await openBranchKeys({ query, rootKey, environment: 'development', service: 'crypto-store' });
      await keys.rotate(await keys.idFor(tenant, purpose));
      keys.close();
      await handle.close();
    },
    /** A workload of the development world. */
    async caller(workload: string): Promise<Caller> {
      const { paths, thumbprint } = await postgres.authority.issue(workload);
      const material = await watchTlsMaterial(paths);
      const agent = openAgent(material, { servername: 'localhost' });
      closes.push(() => agent.close().then(() => material.close()));
      return callerOver(agent, issuer, workload, thumbprint);
    },
    async close() {
      for (const close of closes.toReversed()) await close();
      await issuer.close();
      await database.drop();
      await Promise.all([postgres.close(), redis.close()]);
    },
  };
}

export type World = Awaited<ReturnType<typeof openWorld>>;

/** Reads until the answer is from the cache: where that took too long once, it is left alone for a second. */
export async function fromCache(read: () => Promise<Reply>): Promise<Reply> {
  for (;;) {
    const reply = await read();
    if (reply.status !== 200) throw new Error(`there is nothing to cache: ${reply.status}`);
    if (reply.body['source'] === 'cache' || reply.headers['postern-source'] === 'cache') return reply;
    await sleep(50);
  }
}

function callerOver(dispatcher: Dispatcher, issuer: TestIssuer, workload: string, thumbprint: string): Caller {
  const caller: Caller = {
    dispatcher,
    thumbprint,
    token: (options = {}) =>
      issuer.mint({
        audience: 'crypto-store',
        scopes: ['records:read', 'records:write'],
        clientId: workload,
        actors: [workload],
        boundTo: thumbprint,
        ...options,
      }),
    async send(url, { method = 'GET', body, headers = {}, token } = {}) {
      const bearer = token === undefined ? await caller.token() : token;
      const answer = await request(url, {
        dispatcher,
        method: method as 'GET',
        headers: {
          ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
          ...(body === undefined || Buffer.isBuffer(body) ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined || Buffer.isBuffer(body) ? (body ?? null) : JSON.stringify(body),
      });
      const bytes = Buffer.from(await answer.body.arrayBuffer());
      const type = String(answer.headers['content-type'] ?? '');
      return {
        status: answer.statusCode,
        bytes,
        body:
          bytes.length > 0 && type.includes('json') ? (JSON.parse(bytes.toString()) as Record<string, unknown>) : {},
        headers: answer.headers as Record<string, string>,
      };
    },
    record: (url, key, { path = '', ...options } = {}) =>
      caller.send(`${url}/v1/records/${encodeURIComponent(key)}${path}`, options),
    put: (url, key, payload, headers = {}) =>
      caller.record(url, key, {
        method: 'PUT',
        body: Buffer.from(payload),
        headers: { 'content-type': Buffer.isBuffer(payload) ? 'application/octet-stream' : 'text/plain', ...headers },
      }),
    async idOf(url, key) {
      return (await caller.record(url, key, { method: 'HEAD' })).headers['postern-record'] ?? '';
    },
    store: (url, key, payload) => caller.send(`${url}/store`, { method: 'POST', body: { key, payload } }),
    retrieve: (url, key) => caller.send(`${url}/retrieve/${encodeURIComponent(key)}`),
  };
  return caller;
}

const trustOf = (issuers: readonly Trusted[]) => ({
  trustDomain: DEVELOPMENT_TRUST_DOMAIN,
  workloads: WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) })),
  issuers: issuers.map(({ entry }) => entry),
});
