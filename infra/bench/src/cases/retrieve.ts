import { freePort, startLeashed } from '@postern/testing';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { costOf, keyOf, openCryptoStore, PAYLOAD, RECORDS } from '../crypto-store-world.ts';
import { type Target } from '../load.ts';
import { SERVICE_WARM_PAIRS, type Case } from '../measure.ts';

const floor = fileURLToPath(new URL('../floors/express-redis.ts', import.meta.url));

/**
 * Records of 1 KiB from the cache, over mutual TLS, each with its audit event committed before the answer; ours counts the
 * CPU of the service, Postgres, both Redis, the relay and audit-sink, until the log holds the last event. Both sides
 * answer the same fifty connections of the same client, from the same Redis.
 */
export const retrieve: Case = {
  name: 'crypto-store/retrieve',
  unit: 'requests per CPU second of all processes',
  against: 'bare Express + Redis GET over the same mutual TLS',
  goal: { atLeast: 0.4 },
  warmPairs: SERVICE_WARM_PAIRS,
  async prepare() {
    const world = await openCryptoStore();
    const { state, pids, cache } = world.stack;
    const port = await freePort();
    const redis = {
      port: state.ports['redis-cache'] ?? 0,
      username: 'crypto-store',
      password: readFileSync(join(world.home, 'secrets', 'redis-cache-crypto-store'), 'utf8').trim(),
    };
    const configuration = JSON.stringify({ port, tls: state.certificates['crypto-store'], redis });
    const peer = startLeashed([process.execPath, floor, configuration], {
      logFile: join(world.home, 'logs', 'floor.log'),
      stopSignal: 'TERM',
      env: { ...process.env, NODE_ENV: 'production' },
    });
    const floorKey = (n: number) => `crypto-store:floor-${n % RECORDS}`;
    await cache(async (client) => {
      for (let n = 0; n < RECORDS; n += 1) await client.set(floorKey(n), PAYLOAD);
    });

    const ours = world.target((n) => ({ method: 'GET', path: `/retrieve/${keyOf(n)}` }));
    const theirs: Target = {
      url: `https://127.0.0.1:${port}`,
      tls: world.tls,
      call: (n) => ({ method: 'GET', path: `/value/${floorKey(n)}` }),
    };
    const theirPids = [peer.pid, pids()['redis-cache']];
    return {
      ours: async () => (await costOf(ours, world.pids)).perCpuSecond,
      peer: async () => (await costOf(theirs, theirPids)).perCpuSecond,
      async close() {
        await peer.stop();
        await world.close();
      },
    };
  },
};
