import { developmentCa, freePort, startLeashed } from '@postern/testing';
import { startSecretsManager } from '@postern/testing/secrets-manager';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Agent, request } from 'undici';
import { costOf } from '../crypto-store-world.ts';
import { nameOf, openKeyProxy, SECRETS, VALUE } from '../key-proxy-world.ts';
import { type Target } from '../load.ts';
import { median, SERVICE_WARM_PAIRS, type Case } from '../measure.ts';

const floor = fileURLToPath(new URL('../floors/express-redis.ts', import.meta.url));
const sdkReads = fileURLToPath(new URL('../processes/sdk-reads.ts', import.meta.url));

const LATENCY_MS = 10;
const COLD_READS = 100;
const AT_ONCE = 1_000;

/** Values of 1 KiB from the cache, each with its event committed before the answer, as in `crypto-store/retrieve`. */
const hotRead: Case = {
  name: 'key-proxy/hot-read',
  unit: 'requests per CPU second of all processes',
  against: 'bare Express + Redis GET over the same mutual TLS',
  goal: { atLeast: 0.4 },
  warmPairs: SERVICE_WARM_PAIRS,
  async prepare() {
    const world = await openKeyProxy();
    const { state, pids, cache } = world.stack;
    const port = await freePort();
    const redis = {
      port: state.ports['redis-cache'] ?? 0,
      username: 'key-proxy',
      password: readFileSync(join(world.home, 'secrets', 'redis-cache-key-proxy'), 'utf8').trim(),
    };
    const configuration = JSON.stringify({ port, tls: state.certificates['key-proxy'], redis });
    const peer = startLeashed([process.execPath, floor, configuration], {
      logFile: join(world.home, 'logs', 'floor.log'),
      stopSignal: 'TERM',
      env: { ...process.env, NODE_ENV: 'production' },
    });
    const floorKey = (n: number) => `key-proxy:floor-${n % SECRETS}`;
    await cache(async (client) => {
      for (let n = 0; n < SECRETS; n += 1) await client.set(floorKey(n), VALUE);
    });
    const ours = world.target((n) => ({ method: 'GET', path: `/v1/secrets/${nameOf(n)}` }));
    const theirs: Target = {
      url: `https://127.0.0.1:${port}`,
      tls: world.tls,
      call: (n) => ({ method: 'GET', path: `/value/${floorKey(n)}` }),
    };
    return {
      ours: async () => (await costOf(ours, world.pids)).perCpuSecond,
      peer: async () => (await costOf(theirs, [peer.pid, pids()['redis-cache']])).perCpuSecond,
      async close() {
        await peer.stop();
        await world.close();
      },
    };
  },
};

/**
 * The same reads beside those of an application that asks AWS Secrets Manager itself, by the official client over TLS. Of that
 * one the application's process is counted and nothing of the provider; of ours everything that serves the request. What
 * the application needs to send ours (an HTTP request) is on nobody's account, as in the other rows.
 */
const sdkRead: Case = {
  name: 'key-proxy/sdk-read',
  unit: 'reads per CPU second',
  against: 'the official AWS client, its process alone, against moto over TLS: the emulator is not counted',
  goal: { atLeast: 2 },
  warmPairs: SERVICE_WARM_PAIRS,
  async prepare() {
    const [world, aws] = [await openKeyProxy(), await startSecretsManager()];
    const { paths } = await developmentCa().issue('front');
    const { url: endpoint, region, accessKeyId, secretAccessKey } = aws;
    const at = { endpoint: aws.emulator, region, credentials: { accessKeyId, secretAccessKey } };
    const client = new SecretsManagerClient(at);
    const names = Array.from({ length: SECRETS }, (_, n) => nameOf(n));
    for (const Name of names) await client.send(new CreateSecretCommand({ Name, SecretString: VALUE }));
    client.destroy();
    const ours = world.target((n) => ({ method: 'GET', path: `/v1/secrets/${nameOf(n)}` }));
    const asked = JSON.stringify({ ...at, endpoint, names });
    const env = { ...process.env, NODE_ENV: 'production', NODE_EXTRA_CA_CERTS: paths.ca };
    return {
      ours: async () => (await costOf(ours, world.pids)).perCpuSecond,
      async peer() {
        const { stdout } = await promisify(execFile)(process.execPath, [sdkReads, asked], { env });
        return Number(stdout);
      },
      async close() {
        await aws.close();
        await world.close();
      },
    };
  },
};

/** What a cold read adds to the provider's own 10 ms: one caller, one secret after the other. */
const coldRead: Case = {
  name: 'key-proxy/cold-read',
  unit: 'ms, median of 100 reads one after the other',
  against: 'the provider called directly over TLS, with 10 ms of latency as ours has',
  goal: { atMost: 1.3 },
  warmPairs: SERVICE_WARM_PAIRS,
  async prepare() {
    const world = await openKeyProxy();
    const { front, bao } = world;
    const path = async (n: number) => {
      const { reference } = await world.send('GET', `/v1/secrets/${nameOf(n)}/metadata`);
      return `/v1/secret/data/${String(reference)}`;
    };
    const paths = await Promise.all(Array.from({ length: COLD_READS }, (_, n) => path(n)));
    const agent = new Agent({ connections: 1, connect: { ca: await developmentCa().certificate() } });
    const timed = async (read: (n: number) => Promise<unknown>) => {
      const took: number[] = [];
      for (let n = 0; n < COLD_READS; n += 1) {
        const began = performance.now();
        await read(n);
        took.push(performance.now() - began);
      }
      return median(took);
    };
    front.fault({ delayMs: LATENCY_MS });
    return {
      async ours() {
        await world.coolDown();
        return timed((n) => world.send('GET', `/v1/secrets/${nameOf(n)}`));
      },
      peer: () =>
        timed(async (n) => {
          const headers = { 'x-vault-token': bao.rootToken };
          const { body } = await request(`${front.url}${paths[n]}`, { dispatcher: agent, headers });
          await body.json();
        }),
      async close() {
        await agent.close();
        await world.close();
      },
    };
  },
};

/** A thousand callers of one secret that nobody has read yet. */
const coldSingleFlight: Case = {
  name: 'key-proxy/cold-single-flight',
  unit: `calls to the provider for ${AT_ONCE} reads at once`,
  against: 'one call',
  goal: { atMost: 1 },
  async prepare() {
    const world = await openKeyProxy();
    let turn = 0;
    return {
      async ours() {
        const name = nameOf((turn += 1));
        await world.coolDown();
        world.front.forgetCalls();
        await Promise.all(Array.from({ length: AT_ONCE }, () => world.send('GET', `/v1/secrets/${name}`)));
        return world.reads();
      },
      peer: async () => 1,
      close: world.close,
    };
  },
};

/** List prices for 10,000 calls in US dollars, November 2026: the pricing pages of the three services. */
const PRICES = { 'AWS Secrets Manager': 0.05, 'Google Secret Manager': 0.03, 'Azure Key Vault': 0.03 };
const CALLERS = 100;
const OF_SECRETS = 10_000;
const HOURS = 24;

/** The table of the README. */
function tableOf(before: number, after: number): void {
  const count = (calls: number) => Math.round(calls).toLocaleString('en');
  console.error('\n| provider | price of 10,000 calls | calls a day before | after | USD a day before | after |');
  console.error('| --- | --- | --- | --- | --- | --- |');
  for (const [service, price] of Object.entries(PRICES)) {
    const cost = (calls: number) => ((calls / 10_000) * price).toFixed(2);
    console.error(`| ${service} | ${price} | ${count(before)} | ${count(after)} | ${cost(before)} | ${cost(after)} |`);
  }
}

/** 100 callers, each of them every secret, within the hour that a value is kept: counted here for 50 secrets, shown for 10,000. */
const billedCalls: Case = {
  name: 'key-proxy/billed-calls',
  unit: 'calls to the provider a day: 10,000 secrets, read hourly by 100 callers',
  against: 'each caller asks the provider itself',
  goal: { atMost: 0.02 },
  async prepare() {
    const world = await openKeyProxy();
    const counted = 50;
    return {
      async ours() {
        await world.coolDown();
        world.front.forgetCalls();
        for (let caller = 0; caller < CALLERS; caller += 1) {
          await Promise.all(Array.from({ length: counted }, (_, n) => world.send('GET', `/v1/secrets/${nameOf(n)}`)));
        }
        const perHour = (world.reads() / counted) * OF_SECRETS;
        const direct = OF_SECRETS * CALLERS * HOURS;
        tableOf(direct, perHour * HOURS);
        return perHour * HOURS;
      },
      peer: async () => OF_SECRETS * CALLERS * HOURS,
      close: world.close,
    };
  },
};

export const keyProxy: Case[] = [hotRead, sdkRead, coldRead, coldSingleFlight, billedCalls];
