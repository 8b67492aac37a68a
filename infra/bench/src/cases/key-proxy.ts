import { openHome, quietly, startStack } from '@postern/dev';
import { developmentCa, freePort, startLeashed } from '@postern/testing';
import { passOnTo, startHttpsFront, type HttpsFront } from '@postern/testing/https-front';
import { startOpenBao } from '@postern/testing/openbao';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { costOf } from '../crypto-store-world.ts';
import { type Target } from '../load.ts';
import { median, type Case } from '../measure.ts';

const floor = fileURLToPath(new URL('../floors/express-redis.ts', import.meta.url));

const SECRETS = 200;
const LATENCY_MS = 10;
const COLD_READS = 100;
const AT_ONCE = 1_000;
const VALUE = randomBytes(512).toString('hex');
const nameOf = (n: number): string => `bench-${n % SECRETS}`;

/** The stack with a company of key-proxy's own, whose secrets lie in an OpenBao behind a front that can be slow and counts. */
async function openKeyProxy() {
  const bao = await startOpenBao();
  const front: HttpsFront = await startHttpsFront(passOnTo(bao.address));
  const home = openHome(mkdtempSync(join(tmpdir(), 'postern-bench-')));
  const authority = await developmentCa().issue('front');
  const settings = {
    'key-proxy': {
      POSTERN_PROVIDER_HOSTS: `127.0.0.1:${front.port}`,
      POSTERN_PROVIDER_CA_PATH: authority.paths.ca,
      POSTERN_SECOND_FACTOR: 'nobody',
    },
  };
  const stack = await startStack({ home, step: quietly, idp: 'development', settings: async () => settings });
  const { cert, key, ca } = stack.certificates.of.portal;
  const tls = { cert, key, ca };
  const url = stack.state.urls['key-proxy'].api;
  const agent = new Agent({ connections: 50, connect: tls });
  let token = '';

  async function send(method: 'POST' | 'PUT' | 'GET', path: string, body?: object): Promise<Record<string, unknown>> {
    const answer = await request(`${url}${path}`, {
      dispatcher: agent,
      method,
      headers: { 'content-type': 'application/json', ...(token === '' ? {} : { authorization: `Bearer ${token}` }) },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const said = (await answer.body.json()) as Record<string, unknown>;
    if (answer.statusCode >= 300) throw new Error(`${method} ${path} answered ${answer.statusCode}`);
    return said;
  }

  const account = { email: 'bench@foods.example', password: randomBytes(16).toString('hex') };
  await send('POST', '/signup', {
    ...account,
    company_name: 'Bench',
    contact_name: 'Bench',
    phone_number: '1',
    kms_selection: 'crypto-store',
    kms_credentials: {},
  });
  token = String((await send('POST', '/login', account))['access_token']);
  const credentials = { address: front.url, token: bao.rootToken };
  await send('PUT', '/v1/providers/main', { kind: 'openbao', credentials });
  for (let n = 0; n < SECRETS; n += 1) {
    const body = { value: { text: VALUE }, provider: 'main', cache_seconds: 3_600 };
    await send('POST', `/v1/secrets/${nameOf(n)}`, body);
  }
  const pids = stack.pids();
  return {
    stack,
    home: home.dir,
    bao,
    front,
    tls,
    send,
    target: (call: Target['call']): Target => ({
      url,
      tls,
      call: (n) => ({ ...call(n), headers: { authorization: `Bearer ${token}` } }),
    }),
    /** What was read lies in the cache no more. */
    coolDown: () => stack.flush('cache'),
    reads: () =>
      Object.entries(front.calls())
        .filter(([label]) => label.startsWith('GET /v1/secret/data/'))
        .reduce((sum, [, count]) => sum + count, 0),
    pids: [pids['key-proxy'], pids.postgres, pids['redis-cache'], pids['redis-bus'], pids['audit-sink']],
    async close() {
      await agent.close();
      await stack.close();
      await front.close();
      await bao.close();
      rmSync(home.dir, { recursive: true, force: true });
    },
  };
}

/** Values of 1 KiB from the cache, each with its event committed before the answer, as in `crypto-store/retrieve`. */
const hotRead: Case = {
  name: 'key-proxy/hot-read',
  unit: 'requests per CPU second of all processes',
  against: 'bare Express + Redis GET over the same mutual TLS',
  goal: { atLeast: 0.4 },
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

/** What a cold read adds to the provider's own 10 ms: one caller, one secret after the other. */
const coldRead: Case = {
  name: 'key-proxy/cold-read',
  unit: 'ms, median of 100 reads one after the other',
  against: 'the provider called directly over TLS, with 10 ms of latency as ours has',
  goal: { atMost: 1.3 },
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
        for (const [service, price] of Object.entries(PRICES)) {
          const cost = (calls: number) => `$${((calls / 10_000) * price).toFixed(2)}`;
          console.error(`  ${service}: ${cost(direct)} a day before, ${cost(perHour * HOURS)} after`);
        }
        return perHour * HOURS;
      },
      peer: async () => OF_SECRETS * CALLERS * HOURS,
      close: world.close,
    };
  },
};

export const keyProxy: Case[] = [hotRead, coldRead, coldSingleFlight, billedCalls];
