import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { silentLogger } from '@postern/runtime';
import { busCa, fixedTls, startReplicatedRedis, type ReplicatedRedis } from '@postern/testing';
import { busAcl, openBus } from '../src/index.ts';
import { until } from './world.ts';

const SERVICE = 'key-proxy';
const password = 'of-key-proxy';
let folder: string;
let servers: ReplicatedRedis;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-bus-'));
  const users = [{ name: SERVICE, password, rules: busAcl(SERVICE) }];
  servers = await startReplicatedRedis({
    kind: 'bus',
    folder,
    authority: busCa(),
    users,
    adminPassword: 'of-the-administrator',
  });
});
afterAll(async () => {
  await servers.close();
  await rm(folder, { recursive: true, force: true });
});

test('jobs added after the master was killed are worked on at the new one, by the same worker', async () => {
  const tls = fixedTls(await busCa().issue(SERVICE));
  const url = servers.urlFor(SERVICE);
  const bus = await openBus({ url, password, tls, service: SERVICE, logger: silentLogger() });
  try {
    const seen: unknown[] = [];
    bus.worker({ queue: 'jobs' }, async (payload) => void seen.push(payload));
    await bus.queue('jobs').add('before');
    await until(() => seen.includes('before'), 'the first job');
    await (await servers.master()).kill();
    // A job that was not acknowledged is its sender's to send again, as the relay does (R21).
    await until(
      () =>
        bus
          .queue('jobs')
          .add('after')
          .then(
            () => true,
            () => false,
          ),
      'a job taken by the new master',
    );
    await until(() => seen.includes('after'), 'that job');
    expect(new Set(seen)).toEqual(new Set(['before', 'after']));
  } finally {
    await bus.close();
  }
});
