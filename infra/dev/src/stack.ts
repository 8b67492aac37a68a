import { createLocalRootKeyFile } from '@postern/branch-keys';
import { type ProfileName } from '@postern/profile';
import { asRedisAdmin, type RedisAdminClient } from '@postern/testing';

import { issueCertificates, type Authorities, type Certificates } from './certificates.ts';
import { openDatabases } from './databases.ts';
import { environmentOf, type World } from './environment.ts';
import { writeJson } from './files.ts';
import { realmFor, startDevelopmentProvider } from './identity-provider.ts';
import { startRealKeycloak } from './keycloak.ts';
import { choosePorts } from './ports.ts';
import { step as printed, StepFailed, type Step } from './progress.ts';
import { openRedisPair } from './redis.ts';
import { migrate, ready, startService, type ServiceProcess } from './service-process.ts';
import { anyPorts, preferredPorts, services, workloads, type Service } from './services.ts';
import { defaultHome, type Home, type State, type Urls } from './state.ts';
import { policyFor } from './policy.ts';
import { trustFor } from './trust.ts';

export const PROFILE: ProfileName = 'fedramp-moderate';

export type StackOptions = {
  home: Home;
  idp: 'development' | 'keycloak';
  /** A service that restarts on each save of its sources. */
  watch?: Service;
  /** Settings of a service beyond what the stack gives it, once the stack's own identity provider is known. */
  settings?: (at: {
    issuer: string;
    certificates: Certificates;
    urls: Record<Service, Urls>;
  }) => Promise<Partial<Record<Service, Record<string, string>>>>;
  /** Whose certificates everything has; the home's own development CAs unless given. */
  authorities?: Authorities;
  /** The checkout whose services are migrated and started; this one unless given. */
  sources?: string;
  /** Runs and shows each part that is started; one printed line each unless given. */
  step?: Step;
};

export type Stack = {
  state: State;
  certificates: Certificates;
  processes: Record<Service, ServiceProcess>;
  /** The process above each part, for who measures them. */
  pids(): Record<Service | 'postgres' | 'redis-cache' | 'redis-bus', number>;
  /** Empties a Redis, as a lost instance would. */
  flush(kind: 'cache' | 'bus'): Promise<void>;
  /** Runs commands on the cache as its administrator. */
  cache<T>(work: (client: RedisAdminClient) => Promise<T>): Promise<T>;
  /** kill -9, then a new process; resolves when that one is ready. */
  crash(service: Service): Promise<void>;
  /** SIGTERM; resolves when the process has ended. */
  stop(service: Service): Promise<void>;
  /** A new process for one that was stopped, with these settings beside its own; resolves when it is ready. */
  start(service: Service, settings?: Record<string, string>): Promise<void>;
  /** Stops Postgres, which ends every connection, and starts it again where it was. */
  restartPostgres(): Promise<void>;
  /** Gives Postgres and both Redis new certificates of their authorities, while they run. */
  rotate(): Promise<void>;
  /** Rejects when a service ends by itself. */
  failed: Promise<never>;
  /** One service's environment, as it was started with. */
  environmentOf(service: Service): Record<string, string>;
  close(): Promise<void>;
};

/** Starts everything in order, a line for each part. What was opened is closed again when a later part fails. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const closing: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const end of closing.splice(0).reverse()) await end();
  };
  try {
    return await open(options, closing, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function open(
  { home, idp, watch, settings, authorities, sources, step = printed }: StackOptions,
  closing: (() => Promise<unknown>)[],
  close: () => Promise<void>,
): Promise<Stack> {
  const before = home.readState();
  const { ports, moved } = await choosePorts({
    ...(home.dir === defaultHome ? preferredPorts : anyPorts),
    ...before.ports,
  });
  const urls = urlsOf(ports);
  const taken = moved.length === 0 ? '' : ` (${moved.length} ports were taken and replaced)`;

  const certificates = await step(`certificates of ${workloads.length} workloads${taken}`, () =>
    issueCertificates(home, authorities),
  );
  const databases = await step('PostgreSQL 18, TLS with client certificates', async () => {
    const opened = await openDatabases(home, certificates.authority, ports.postgres);
    closing.push(() => server.close());
    return opened;
  });
  let { server } = databases;
  const redis = await step('two Redis, mutual TLS, a user per service', async () => {
    const authorities = { cache: certificates.authority, bus: certificates.busAuthority };
    const pair = await openRedisPair(home, authorities, { cache: ports['redis-cache'], bus: ports['redis-bus'] });
    closing.push(pair.cache.close, pair.bus.close);
    return pair;
  });
  const { realm, clientKey, users } = await realmFor(
    home,
    { authManager: urls['auth-manager'], tokenExchange: urls['token-exchange'] },
    PROFILE,
  );
  const provider = await step(
    idp === 'keycloak' ? 'identity provider: Keycloak 26' : 'identity provider (development)',
    async () => {
      const at = { realm, profile: PROFILE, port: ports['identity-provider'] };
      const started =
        idp === 'keycloak'
          ? await startRealKeycloak(home, certificates, at)
          : await startDevelopmentProvider(home, certificates, at);
      closing.push(started.close);
      return started;
    },
    { log: home.place('logs', 'identity-provider.log') },
  );

  const rootKey = home.place('secrets', 'root-key.json');
  await createLocalRootKeyFile(rootKey);
  const each = <T>(make: (service: Service) => T) =>
    Object.fromEntries(services.map((service) => [service, make(service)])) as Record<Service, T>;
  const world: World = {
    profile: PROFILE,
    ports: { ...ports, postgres: databases.server.port, 'redis-cache': redis.cache.port, 'redis-bus': redis.bus.port },
    urls,
    certificates: each((service) => certificates.of[service].paths),
    busCertificates: certificates.bus,
    databases: databases.of,
    passwords: redis.passwords,
    trust: each((service) => writeJson(home, `trust/${service}.json`, trustFor(service, { realm: provider, urls }))),
    rootKey,
    destroyed: each((service) => home.place('destroyed', `${service}.jsonl`)),
    policy: writeJson(home, 'policy.json', policyFor(provider.issuer)),
    issuer: provider.issuer,
    published: home.place('published-log'),
    providerClientKey: clientKey,
  };
  const more = (await settings?.({ issuer: provider.issuer, certificates, urls })) ?? {};
  const environment = (service: Service) => ({ ...environmentOf(service, world), ...more[service] });
  const code = sources === undefined ? {} : { sources };
  const at = (service: Service) => ({ service, home, env: environment(service), ...code });

  await step('migrations of five databases', async () => {
    const failed = (service: Service) => (error: unknown) => {
      throw new StepFailed(`migrations of ${service}`, error, { log: home.place('logs', `${service}.log`) });
    };
    await Promise.all(services.map((service) => migrate(at(service)).catch(failed(service))));
  });

  const processes = {} as Record<Service, ServiceProcess>;
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<never>((_, reject) => (fail = reject));
  failed.catch(() => {});
  const start = async (service: Service, settings: Record<string, string> = {}) => {
    const own = at(service);
    const env = { ...own.env, ...settings };
    const running = startService({ ...own, env, watch: service === watch });
    processes[service] = running;
    running.ended.catch((error: Error) => fail(new StepFailed(service, error, { log: running.logFile })));
    await ready(running, urls[service]);
  };
  closing.push(() => Promise.all(Object.values(processes).map((running) => running.stop())));
  await Promise.all(
    services.map((service) =>
      step(service, () => start(service), {
        log: home.place('logs', `${service}.log`),
      }),
    ),
  );

  const state: State = {
    pid: process.pid,
    ports: world.ports,
    idp,
    issuer: provider.issuer,
    urls,
    certificates: Object.fromEntries(
      workloads.map((name) => [name, certificates.of[name].paths]),
    ) as State['certificates'],
    users,
  };
  home.writeState(state);
  return {
    state,
    certificates,
    processes,
    pids: () => ({
      postgres: server.pid,
      'redis-cache': redis.cache.pid,
      'redis-bus': redis.bus.pid,
      ...each((service) => processes[service].pid),
    }),
    flush: (kind) => asRedisAdmin(redis[kind], async (client) => void (await client.flushAll())),
    cache: (work) => asRedisAdmin(redis.cache, work),
    async crash(service) {
      await processes[service].kill();
      await start(service);
    },
    stop: (service) => processes[service].stop(),
    start,
    async restartPostgres() {
      await server.close();
      ({ server } = await openDatabases(home, certificates.authority, server.port));
    },
    async rotate() {
      await Promise.all([server, redis.cache, redis.bus].map((each) => each.rotate()));
    },
    failed,
    environmentOf: environment,
    close,
  };
}

function urlsOf(ports: Record<string, number>): Record<Service, Urls> {
  const urls = (service: Service): Urls => ({
    api: `https://127.0.0.1:${ports[`${service}-api`]}`,
    public: `https://127.0.0.1:${ports[`${service}-public`]}`,
    management: `http://127.0.0.1:${ports[`${service}-management`]}`,
  });
  return Object.fromEntries(services.map((service) => [service, urls(service)])) as Record<Service, Urls>;
}
