import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { Authority, Leaf } from '../authority/authority.ts';
import { busCa, developmentCa } from '../authority/development-ca.ts';
import { fixedTls, type FixedTls } from '../authority/fixed-tls.ts';
import { testRun } from '../run/test-run.ts';
import { asRedisAdmin, startRedis, type RedisAdmin, type RedisAdminClient, type RedisServer } from './server.ts';

/** One workload's way into a Redis. */
export type TestRedisUser = {
  /** `rediss://user@127.0.0.1:port/database`: the user and the database are this spec's alone. */
  url: string;
  password: string;
  tls: FixedTls;
  /** The same certificate in files. */
  paths: Leaf['paths'];
};

export type TestRedis = RedisAdmin & {
  authority: Authority;
  /** A user of this spec with ACL rules (`~crypto-store:* +@all -@admin`); default: everything but administration. */
  user(workload: string, rules?: string): Promise<TestRedisUser>;
  /** Runs commands as the administrator, in this spec's database. */
  asAdmin<T>(work: (client: RedisAdminClient) => Promise<T>): Promise<T>;
  /** The number of this spec's database. */
  database: number;
};

export type RedisPair = {
  cache: TestRedis;
  bus: TestRedis;
  /** Empties this spec's databases, and ends the servers if this spec started them. */
  close(): Promise<void>;
};

const EVERYTHING_BUT_ADMINISTRATION = '~* &* +@all -@admin -@dangerous +info +keys';

/**
 * The run's two Redis, or two started for this spec. Close them after all tests.
 *
 * @param options `alone`: in any case two that nobody else uses, so that the spec may configure them.
 */
export async function redisForTests({ alone = false } = {}): Promise<RedisPair> {
  const shared = alone ? undefined : testRun().redis;
  const authorities = { cache: developmentCa(), bus: busCa() };
  if (shared) {
    const reach = async (kind: 'cache' | 'bus') => ({
      port: shared[kind].port,
      adminPassword: shared.adminPassword,
      admin: await authorities[kind].issue('operator', { usages: ['clientAuth'] }),
    });
    const [cache, bus] = await Promise.all([
      testRedis(await reach('cache'), authorities.cache),
      testRedis(await reach('bus'), authorities.bus),
    ]);
    const close = async () => {
      await Promise.all([cache, bus].map((redis) => redis.asAdmin((client) => client.flushDb())));
    };
    return { cache, bus, close };
  }
  const own = await ownServers(authorities);
  const [cache, bus] = await Promise.all([
    testRedis(own.cache, authorities.cache),
    testRedis(own.bus, authorities.bus),
  ]);
  const close = async () => {
    await Promise.all([own.cache.close(), own.bus.close()]);
  };
  return { cache, bus, close };
}

async function ownServers(
  authorities: Record<'cache' | 'bus', Authority>,
): Promise<Record<'cache' | 'bus', RedisServer>> {
  const adminPassword = randomBytes(24).toString('base64url');
  const start = (kind: 'cache' | 'bus') => {
    const folder = mkdtempSync(join(testRun().directory, `redis-${kind}-`));
    return startRedis({ kind, folder, authority: authorities[kind], users: [], adminPassword });
  };
  const [cache, bus] = await Promise.all([start('cache'), start('bus')]);
  return { cache, bus };
}

async function testRedis(server: RedisAdmin, authority: Authority): Promise<TestRedis> {
  // Specs share a server but not a database. Number 0 holds the counter.
  const database = await asRedisAdmin(server, (client) => client.incr('specs'));
  return {
    ...server,
    authority,
    database,
    asAdmin: (work) =>
      asRedisAdmin(server, async (client) => {
        await client.select(database);
        return work(client);
      }),
    async user(workload, rules = EVERYTHING_BUT_ADMINISTRATION) {
      const name = `${workload}.${database}`;
      const password = randomBytes(24).toString('base64url');
      await asRedisAdmin(server, (client) =>
        client.aclSetUser(name, ['reset', 'on', `>${password}`, ...rules.split(' ')]),
      );
      const leaf = await authority.issue(workload);
      const url = `rediss://${encodeURIComponent(name)}@127.0.0.1:${server.port}/${database}`;
      return { url, password, tls: fixedTls(leaf), paths: leaf.paths };
    },
  };
}
