import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  asRedisAdmin,
  developmentCa,
  fixedTls,
  startReplicatedRedis,
  type RedisAdmin,
  type ReplicatedRedis,
} from '@postern/testing';
import { openRedis, redisAddress, type RedisHandle } from '../src/index.ts';
import { temporaryFolder } from './world.ts';

const user = { name: 'crypto-store', password: 'of-crypto-store', rules: '~* &* +@all -@admin' };
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let servers: ReplicatedRedis;
let tls: ReturnType<typeof fixedTls>;
let redis: RedisHandle;

beforeAll(async () => {
  folder = await temporaryFolder();
  const authority = developmentCa();
  tls = fixedTls(await authority.issue('crypto-store'));
  servers = await startReplicatedRedis({
    kind: 'cache',
    folder: folder.path,
    authority,
    users: [user],
    adminPassword: 'of-the-administrator',
  });
  redis = await openRedis({ url: servers.urlFor(user.name), password: user.password, tls, name: 'spec' });
});
afterAll(async () => {
  await redis.close();
  await servers.close();
  await folder.remove();
});

test('the master that sentinels name is written to', async () => {
  await untilAnswered(() => redis.client().set('key', 'before'));
  expect(await asRedisAdmin(await servers.master(), (client) => client.get('key'))).toBe('before');
});

test('when the master is killed the new one is found and used, without a restart', async () => {
  const old = await servers.master();
  await replicated(servers.nodes.find((node) => node !== old)!);
  await old.kill();
  const answer = await untilAnswered(() => redis.client().set('key', 'after'));
  expect(answer).toBe('OK');
  expect(await servers.master()).not.toBe(old);
  expect(await redis.client().get('key')).toBe('after');
});

test('sentinels that know no such master leave nothing to connect to: the check fails', async () => {
  const url = servers.urlFor(user.name).replace('master=postern', 'master=other');
  const heard: string[] = [];
  const lost = await openRedis({
    url,
    password: user.password,
    tls,
    name: 'spec',
    failed: ({ message }) => heard.push(message),
  });
  await expect(lost.check()).rejects.toThrow();
  expect(heard).toContain('the sentinel knows no such master');
  await lost.close();
});

test('a sentinel that is away costs nothing while another answers', async () => {
  const url = new URL(servers.urlFor(user.name));
  url.port = '1';
  const address = await redisAddress({ url: url.href, password: user.password, tls });
  expect(address.current().port).toBe((await servers.master()).port);
  address.close();
});

/** Until the replica holds what was written, or the failover would lose it. */
async function replicated(replica: RedisAdmin): Promise<void> {
  await untilAnswered(async () => {
    const held = await asRedisAdmin(replica, (client) => client.get('key'));
    if (held !== 'before') throw new Error('not yet');
    return held;
  });
}

async function untilAnswered<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (tries === 2_400) throw error;
      await sleep(50);
    }
  }
}
