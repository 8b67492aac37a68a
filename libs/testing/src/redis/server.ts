import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'redis';
import type { Authority, Leaf } from '../authority/authority.ts';
import { ADMIN_CONNECT_TIMEOUT_MS } from '../run/admin-timeout.ts';
import { onFreePort } from '../run/free-port.ts';
import { startLeashed } from '../run/leash.ts';

/** A Redis user: `rules` as in an ACL file, after the name and the password. */
export type RedisUser = { name: string; password: string; rules: string };

export type RedisServerOptions = {
  /** `cache` evicts and keeps nothing; `bus` never evicts and appends to a file. */
  kind: 'cache' | 'bus';
  /** Configuration, data and log. */
  folder: string;
  /** Who vouches for the server and for its clients. The bus has an authority of its own (R21). */
  authority: Authority;
  /** The default user is off: only these come in (R21), and the administrator. */
  users: readonly RedisUser[];
  adminPassword: string;
  /** Used when it is free, else another. */
  preferredPort?: number;
  /** Further lines of its configuration. */
  lines?: readonly string[];
};

export type RedisServer = RedisAdmin & {
  logFile: string;
  /** The process whose children are the server. */
  pid: number;
  /** Rejects when the server has ended by itself. */
  ended: Promise<never>;
  /** Gives the server a new certificate; open connections stay. */
  rotate(): Promise<void>;
  close(): Promise<void>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
};

/** How the administrator reaches a server. */
export type RedisAdmin = { port: number; admin: Pick<Leaf, 'cert' | 'key' | 'ca'>; adminPassword: string };

/** Not the name of a workload, so that no service is it by mistake. */
export const ADMINISTRATOR = 'administrator';
const START_TIMEOUT_MS = 60_000;
const DATABASES = 10_000;

const KINDS = {
  cache: ['maxmemory 128mb', 'maxmemory-policy allkeys-lfu', 'appendonly no', 'save ""'],
  bus: ['maxmemory-policy noeviction', 'appendonly yes', 'appendfsync everysec', 'save ""'],
} as const;

/**
 * Starts Redis on loopback: TLS 1.3 only, client certificates required, a user per service. It ends with this process.
 *
 * @throws Error when `redis-server` is missing or does not come up; its log file is named.
 */
export async function startRedis(options: RedisServerOptions): Promise<RedisServer> {
  const { kind, folder, authority, users, adminPassword, preferredPort, lines = [] } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const certificate = { into: join(folder, 'tls') };
  const { paths } = await authority.issue(`redis-${kind}`, certificate);
  const admin = await authority.issue('operator', { usages: ['clientAuth'] });
  const aclFile = join(folder, 'users.acl');
  writeFileSync(aclFile, aclText([...users, { name: ADMINISTRATOR, password: adminPassword, rules: '~* &* +@all' }]), {
    mode: 0o600,
  });
  const configuration = [
    'port 0',
    'bind 127.0.0.1',
    `tls-cert-file "${paths.cert}"`,
    `tls-key-file "${paths.key}"`,
    `tls-ca-cert-file "${paths.ca}"`,
    'tls-auth-clients yes',
    'tls-protocols TLSv1.3',
    `aclfile "${aclFile}"`,
    `dir "${folder}"`,
    `databases ${DATABASES}`,
    'daemonize no',
    ...KINDS[kind],
    ...lines,
  ];
  const file = join(folder, 'redis.conf');
  writeFileSync(file, `${configuration.join('\n')}\n`, { mode: 0o600 });

  const logFile = join(folder, 'redis.log');
  const { server, reach } = await onFreePort(preferredPort, async (port) => {
    const command = [redisProgram(), file, '--tls-port', String(port)];
    const server = startLeashed(command, { cwd: folder, logFile, stopSignal: 'TERM' });
    const reach = { port, admin, adminPassword };
    const starting = new AbortController();
    try {
      await Promise.race([answers(reach, starting.signal), server.ended]);
      return { server, reach };
    } catch (error) {
      await server.kill();
      throw error;
    } finally {
      starting.abort();
    }
  });
  return {
    ...reach,
    logFile,
    pid: server.pid,
    ended: server.ended,
    async rotate() {
      await authority.issue(`redis-${kind}`, certificate);
      await asRedisAdmin(reach, (client) =>
        client.configSet({ 'tls-cert-file': paths.cert, 'tls-key-file': paths.key, 'tls-ca-cert-file': paths.ca }),
      );
      Object.assign(admin, await authority.issue('operator', { usages: ['clientAuth'] }));
    },
    close: server.stop,
    kill: server.kill,
  };
}

/** Valkey goes on where Redis 7.2 stopped, with the same configuration. */
export function redisProgram(): string {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = ['redis-server', 'valkey-server'].find((name) =>
    folders.some((folder) => existsSync(join(folder, name))),
  );
  if (found === undefined) throw new Error('redis-server is not on PATH: install it');
  return found;
}

/** The users as an ACL file. Passwords stand there as SHA-256. */
export function aclText(users: readonly RedisUser[]): string {
  const lines = users.map(({ name, password, rules }) => {
    const digest = createHash('sha256').update(password).digest('hex');
    return `user ${name} reset on #${digest} ${rules}`;
  });
  return ['user default reset off', ...lines, ''].join('\n');
}

/** Runs `work` as the administrator, on a connection of its own. */
export async function asRedisAdmin<T>(server: RedisAdmin, work: (client: RedisAdminClient) => Promise<T>): Promise<T> {
  const client = adminClient(server);
  try {
    await client.connect();
    return await work(client);
  } finally {
    client.destroy();
  }
}

export type RedisAdminClient = ReturnType<typeof adminClient>;

function adminClient({ port, admin: { cert, key, ca }, adminPassword }: RedisAdmin) {
  const client = createClient({
    username: ADMINISTRATOR,
    password: adminPassword,
    socket: {
      host: '127.0.0.1',
      port,
      tls: true,
      cert,
      key,
      ca,
      servername: 'localhost',
      minVersion: 'TLSv1.3',
      reconnectStrategy: false,
      connectTimeout: ADMIN_CONNECT_TIMEOUT_MS,
    },
  });
  client.on('error', () => {});
  return client;
}

async function answers(server: RedisAdmin, wanted: AbortSignal): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!wanted.aborted) {
    try {
      await asRedisAdmin(server, (client) => client.ping());
      return;
    } catch (error) {
      if (Date.now() > deadline) throw new Error('Redis does not answer', { cause: error });
      await sleep(20);
    }
  }
}
