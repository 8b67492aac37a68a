import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { newEvent, type AuditEvent, type EventDraft } from '@postern/audit';
import { createLocalRootKeyFile, openBranchKeys, openLocalRootKey, sealerFor } from '@postern/branch-keys';
import { busAcl, openBus } from '@postern/bus';
import { listen } from '@postern/http';
import { openAgent, watchTlsMaterial } from '@postern/mtls';
import { openAudit, outboxMigrations, startRelay } from '@postern/outbox';
import { migrate, openPostgres, type MigrationSet } from '@postern/postgres';
import { createLogger, silentLogger, systemNow } from '@postern/runtime';
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
import { decodeEntries } from '@postern/transparency';
import { request } from 'undici';
import { compose } from '../src/compose.ts';
import { readConfig } from '../src/config.ts';
import { migrationSets } from '../src/db/migration-sets.ts';
import { followCheckpointKey } from '../src/log/checkpoint-key.ts';
import { createSubjects } from '../src/subjects/subjects.ts';

export type World = Awaited<ReturnType<typeof openWorld>>;
export type Reply = { status: number; body: Record<string, unknown>; text: string };

/**
 * The log with its database, both Redis, an issuer; producers and callers as a test wants them.
 *
 * @param options `alone`: with servers that no other spec uses, to be restarted and filled.
 */
export async function openWorld({
  issuers = [],
  sets = migrationSets,
  alone = false,
}: { issuers?: TestIssuer[]; sets?: readonly MigrationSet[]; alone?: boolean } = {}) {
  const [server, redis, issuer] = await Promise.all([
    postgresForTests({ alone }),
    redisForTests({ alone }),
    testIssuer(),
  ]);
  const database = await server.createDatabase({ service: 'audit-sink' });
  const { ownerUrl, tls, serviceRole } = database;
  await migrate({ url: ownerUrl, tls, sets, serviceRole });
  const log = await openPostgres({ url: database.url, tls, poolSize: 4, applicationName: 'test' });
  const [leaf, bus] = await Promise.all([
    server.authority.issue('audit-sink'),
    redis.bus.user('audit-sink', busAcl('audit-sink')),
  ]);
  const folder = await mkdtemp(join(tmpdir(), 'audit-sink-'));
  const files = { rootKey: join(folder, 'root.key'), trust: join(folder, 'trust.json') };
  await createLocalRootKeyFile(files.rootKey);
  await writeFile(
    files.trust,
    JSON.stringify({
      trustDomain: DEVELOPMENT_TRUST_DOMAIN,
      workloads: WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) })),
      issuers: [issuer, ...issuers].map(({ entry }) => entry),
    }),
  );
  const closes: (() => unknown)[] = [];
  const logged: string[] = [];

  const env: Record<string, string> = {
    POSTERN_ENVIRONMENT: 'development',
    POSTERN_API_PORT: '0',
    POSTERN_PUBLIC_PORT: '0',
    POSTERN_MANAGEMENT_PORT: '0',
    POSTERN_TLS_CERT_PATH: leaf.paths.cert,
    POSTERN_TLS_KEY_PATH: leaf.paths.key,
    POSTERN_TLS_CA_PATH: leaf.paths.ca,
    POSTERN_TRUST_PATH: files.trust,
    POSTERN_POSTGRES_URL: database.url,
    POSTERN_BUS_URL: bus.url,
    POSTERN_BUS_PASSWORD: bus.password,
    POSTERN_BUS_TLS_CERT_PATH: bus.paths.cert,
    POSTERN_BUS_TLS_KEY_PATH: bus.paths.key,
    POSTERN_BUS_TLS_CA_PATH: bus.paths.ca,
    POSTERN_ROOT_KEY: 'local',
    POSTERN_ROOT_KEY_PATH: files.rootKey,
    POSTERN_AUDIT_PUBLISH_TO: pathToFileURL(join(folder, 'published')).href,
    POSTERN_AUDIT_PRODUCERS: 'audit-sink,auth-manager,crypto-store,key-proxy,token-exchange',
  };

  return {
    server,
    redis,
    issuer,
    env,
    /** Where the log is published. */
    published: join(folder, 'published'),
    logged,
    /** The log's database, as the service sees it. */
    log,
    /** How its owner migrates it. */
    owner: { url: ownerUrl, tls, serviceRole },
    /** The log's database, as its owner: who may alter anything. */
    asOwner: (sql: string) => server.asAdmin((admin) => admin.query(sql), database.name),
    /** The settings of documents that an operator writes, here from values. */
    async documents(named: Record<string, object>): Promise<Record<string, string>> {
      const written = Object.entries(named).map(async ([name, value]) => {
        const path = join(folder, `${name}-${randomUUID()}.json`);
        await writeFile(path, JSON.stringify(value));
        return [`POSTERN_${name.toUpperCase()}_PATH`, path];
      });
      return Object.fromEntries(await Promise.all(written));
    },
    /** A file that an operator writes. @returns its path. */
    async file(content: string): Promise<string> {
      const path = join(folder, randomUUID());
      await writeFile(path, content, { mode: 0o600 });
      return path;
    },
    /** The service, running in this process. */
    async sink(overrides: Record<string, string> = {}) {
      const config = readConfig({ ...env, ...overrides });
      const destination = { write: (line: string) => void logged.push(line) };
      const logger = createLogger({ service: 'audit-sink', level: 'info', destination });
      const service = await compose(config, { logger });
      const listening = await listen(service.app, { tls: service.tls, config: config.base.listen });
      let closed: Promise<void> | undefined;
      const close = () => (closed ??= listening.close().then(() => service.close()));
      closes.push(close);
      return { url: listening.urls.api ?? '', urls: listening.urls, app: service.app, close };
    },
    /** A service that records events: its database, its bus user, its certificate. */
    async producer(name = 'crypto-store') {
      const own = await server.createDatabase({ service: name });
      const sets = [outboxMigrations];
      await migrate({ url: own.ownerUrl, tls: own.tls, sets, serviceRole: own.serviceRole });
      const postgres = await openPostgres({ url: own.url, tls: own.tls, poolSize: 6, applicationName: name });
      const user = await redis.bus.user(name, busAcl(name));
      const { paths } = await server.authority.issue(name);
      const material = await watchTlsMaterial(paths);
      const ownBus = await openBus({ ...user, service: name, logger: silentLogger() });
      const audit = await openAudit({ postgres, producer: name, logger: silentLogger() });
      const agent = openAgent(material);
      closes.push(async () => {
        await audit.close();
        await agent.close();
        await ownBus.close();
        material.close();
        await postgres.close();
        await own.drop();
      });
      return {
        name,
        postgres,
        audit,
        bus: ownBus,
        tls: material,
        database: own,
        user,
        paths,
        agent,
        async relay(url: string, keepForSeconds = 3_600) {
          const sink = { url, dispatcher: agent };
          const logger = createLogger({
            service: name,
            level: 'warn',
            destination: { write: (line: string) => void logged.push(line) },
          });
          const relay = await startRelay({
            postgres,
            producer: name,
            bus: ownBus,
            tls: material,
            sink,
            logger,
            keepForSeconds,
          });
          closes.push(() => relay.close());
          return relay;
        },
      };
    },
    /** A workload of the development world with a token for the log. */
    async caller(workload = 'portal') {
      const { paths, thumbprint } = await server.authority.issue(workload);
      const material = await watchTlsMaterial(paths);
      const agent = openAgent(material);
      closes.push(() => agent.close().then(() => material.close()));
      const token = (options: Partial<MintOptions> = {}) =>
        issuer.mint({
          audience: 'audit-sink',
          scopes: ['audit:read'],
          roles: ['auditor'],
          sub: 'audrey',
          clientId: workload,
          actors: [workload],
          boundTo: thumbprint,
          ...options,
        });
      return {
        token,
        dispatcher: agent,
        thumbprint,
        async get(url: string, options: Partial<MintOptions> | null = {}): Promise<Reply> {
          const authorization = options === null ? {} : { authorization: `Bearer ${await token(options)}` };
          const answer = await request(url, { dispatcher: agent, headers: authorization });
          const text = await answer.body.text();
          return { status: answer.statusCode, text, body: isJson(answer.headers) ? JSON.parse(text) : {} };
        },
      };
    },
    async close() {
      for (const close of closes.toReversed()) await close();
      await log.close();
      await issuer.close();
      await database.drop();
      await Promise.all([server.close(), redis.close()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export const event = (over: Partial<EventDraft> = {}): AuditEvent =>
  newEvent(
    {
      action: 'record.read',
      outcome: 'success',
      tenant: 'acme',
      actor: { person: { issuer: 'https://idp.example/realms/postern', sub: 'alice' }, workload: 'portal' },
      details: {},
      ...over,
    },
    new Date(),
  );

/** Long enough for a machine that does much else, short of what a test may take. */
const WAIT_MS = 120_000;

/** Waits until `condition` holds. */
export async function until(condition: () => Promise<boolean> | boolean, what: string): Promise<void> {
  for (const end = Date.now() + WAIT_MS; !(await condition()); await sleep(50))
    if (Date.now() > end) throw new Error(`this did not come about: ${what}`);
}

const isJson = (headers: Record<string, unknown>): boolean =>
  /\/(problem\+)?json$/.test(String(headers['content-type']));

/** Ids of the events that the log holds of a producer, in its order; one that stands twice is there twice. */
export async function heldIds({ log }: World, producer = 'crypto-store'): Promise<string[]> {
  const rows = await log.query<{ entries: Buffer }>('select entries from log_runs where producer = $1 order by first', [
    producer,
  ]);
  return rows
    .flatMap(({ entries }) => decodeEntries(entries))
    .map((leaf) => JSON.parse(leaf.toString()) as { kind: string; id: string; action: string })
    .filter(({ kind, action }) => kind === 'entry' && action !== 'epoch.opened')
    .map(({ id }) => id);
}

/** The log's keys and its subjects', as the service opens them. */
export async function openKeys(world: World) {
  const { query } = world.log;
  const rootKey = await openLocalRootKey({ path: world.env['POSTERN_ROOT_KEY_PATH']! });
  const environment = 'development';
  const keys = await openBranchKeys({ query, rootKey, environment, service: 'audit-sink', now: systemNow });
  const sealer = sealerFor(keys, { tenant: 'postern', purpose: 'service-secrets' });
  const key = await followCheckpointKey(query, sealer, { origin: 'dev.postern.internal/audit', fips: false });
  return { key, keys, sealer, subjects: createSubjects(query, keys, systemNow), close: () => keys.close() };
}
