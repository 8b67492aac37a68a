import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Authority } from '../authority/authority.ts';
import { freePort } from '../run/free-port.ts';
import { startLeashed } from '../run/leash.ts';
import {
  ADMINISTRATOR,
  aclText,
  asRedisAdmin,
  redisProgram,
  startRedis,
  type RedisAdmin,
  type RedisServer,
  type RedisUser,
} from './server.ts';

export type ReplicatedRedis = {
  /** What a service is given: the sentinels, and the master's name. */
  urlFor(user: string): string;
  nodes: readonly RedisServer[];
  /** The node that all sentinels call the master. @throws Error when they do not agree within a minute */
  master(): Promise<RedisServer>;
  /** New certificates: the nodes take them as they run; a sentinel cannot, so that each is restarted, one after the other. */
  rotate(): Promise<void>;
  close(): Promise<void>;
};

type Options = {
  kind: 'cache' | 'bus';
  folder: string;
  authority: Authority;
  users: readonly RedisUser[];
  adminPassword: string;
  nodes?: number;
};

const MASTER = 'postern';
const SENTINELS = 3;
const DOWN_AFTER_MS = 1_000;
const AGREED_WITHIN_MS = 60_000;
const ANSWERS_WITHIN_MS = 60_000;

/** Redis as one runs it on several machines: a master, its replicas, and three sentinels that choose another; everything over mTLS. */
export async function startReplicatedRedis(options: Options): Promise<ReplicatedRedis> {
  const { folder, adminPassword, nodes: count = 2 } = options;
  const login = [`masteruser ${ADMINISTRATOR}`, `masterauth ${adminPassword}`, 'tls-replication yes'];
  const nodes: RedisServer[] = [];
  const gone = new Set<RedisServer>();
  for (let at = 0; at < count; at += 1) {
    const of = nodes[0] === undefined ? [] : [`replicaof 127.0.0.1 ${nodes[0].port}`];
    const node = await startRedis({ ...options, folder: join(folder, `node-${at}`), lines: [...login, ...of] });
    nodes.push({ ...node, kill: () => (gone.add(nodes[at]!), node.kill()) });
  }
  const sentinels = await Promise.all(
    Array.from({ length: SENTINELS }, (_, at) =>
      startSentinel(nodes[0]!.port, { ...options, folder: join(folder, `sentinel-${at}`) }),
    ),
  );
  const [first, ...others] = sentinels.map(({ reach }) => `127.0.0.1:${reach.port}`);
  return {
    nodes,
    urlFor: (user) => `rediss://${encodeURIComponent(user)}@${first}/0?master=${MASTER}&sentinels=${others.join(',')}`,
    async master() {
      // One hears from the others what they have chosen.
      for (const end = Date.now() + AGREED_WITHIN_MS; Date.now() < end; await sleep(50)) {
        const [port, ...others] = new Set(await Promise.all(sentinels.map(({ reach }) => masterPortAt(reach))));
        const node = nodes.find((one) => one.port === port);
        if (node !== undefined && others.length === 0) return node;
      }
      throw new Error('the sentinels do not agree on a node');
    },
    async rotate() {
      for (const node of nodes) if (!gone.has(node)) await node.rotate();
      for (const sentinel of sentinels) await sentinel.rotate();
    },
    async close() {
      await Promise.all(sentinels.map(({ stop }) => stop()));
      await Promise.all(nodes.map((node) => node.close()));
    },
  };
}

async function startSentinel(masterPort: number, { folder, authority, users, adminPassword, kind }: Options) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const certificate = { into: join(folder, 'tls') };
  const { paths } = await authority.issue(`redis-${kind}`, certificate);
  const admin = () => authority.issue('operator', { usages: ['clientAuth'] });
  const port = await freePort();
  const asking = users.map((user) => ({ ...user, rules: '&* +ping +hello +client +sentinel|get-master-addr-by-name' }));
  const acl = aclText([...asking, { name: ADMINISTRATOR, password: adminPassword, rules: '~* &* +@all' }]);
  const configuration = [
    'port 0',
    `tls-port ${port}`,
    'bind 127.0.0.1',
    `tls-cert-file "${paths.cert}"`,
    `tls-key-file "${paths.key}"`,
    `tls-ca-cert-file "${paths.ca}"`,
    'tls-auth-clients yes',
    'tls-protocols TLSv1.3',
    'tls-replication yes',
    `dir "${folder}"`,
    ...acl.split('\n').filter((line) => line !== ''),
    `sentinel sentinel-user ${ADMINISTRATOR}`,
    `sentinel sentinel-pass ${adminPassword}`,
    `sentinel monitor ${MASTER} 127.0.0.1 ${masterPort} 2`,
    `sentinel auth-user ${MASTER} ${ADMINISTRATOR}`,
    `sentinel auth-pass ${MASTER} ${adminPassword}`,
    `sentinel down-after-milliseconds ${MASTER} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${MASTER} 5000`,
  ];
  // Sentinel writes what it learns into this file, and finds it again.
  const file = join(folder, 'sentinel.conf');
  writeFileSync(file, `${configuration.join('\n')}\n`, { mode: 0o600 });
  const logFile = join(folder, 'sentinel.log');
  const reach = { port, admin: await admin(), adminPassword };
  const start = async () => {
    const server = startLeashed([redisProgram(), file, '--sentinel'], { cwd: folder, logFile, stopSignal: 'TERM' });
    await answers(reach, logFile);
    return server;
  };
  let server = await start();
  return {
    reach,
    stop: () => server.stop(),
    async rotate() {
      await authority.issue(`redis-${kind}`, certificate);
      reach.admin = await admin();
      await server.stop();
      server = await start();
    },
  };
}

async function masterPortAt(sentinel: RedisAdmin): Promise<number> {
  const asked = ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER];
  const [, port] = await asRedisAdmin(sentinel, (client) => client.sendCommand<[host: string, port: string]>(asked));
  return Number(port);
}

async function answers(reach: RedisAdmin, logFile: string): Promise<void> {
  for (const end = Date.now() + ANSWERS_WITHIN_MS; ; await sleep(50)) {
    try {
      await asRedisAdmin(reach, (client) => client.ping());
      return;
    } catch (error) {
      if (Date.now() > end) throw new Error(`a sentinel does not answer: ${logFile}`, { cause: error });
    }
  }
}
