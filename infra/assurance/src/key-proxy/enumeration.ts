import { createLocalRootKeyFile } from '@postern/branch-keys';
import { closeInReverse } from '@postern/runtime';
import {
  DEVELOPMENT_TRUST_DOMAIN,
  freePort,
  postgresForTests,
  redisForTests,
  spiffeIdOf,
  startLeashed,
  testIssuer,
  testRun,
  WORKLOADS,
} from '@postern/testing';
import { randomUUID } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { type Case } from '../assess.ts';

const app = fileURLToPath(new URL('../../../../apps/key-proxy/src/', import.meta.url));
const READY_WITHIN_MS = 60_000;
/** One address of loopback makes as many a minute as its rate allows. */
const REQUESTS_AN_ADDRESS = 8;
/** Below this (two in 16,000 runs) a rank sum is chance. */
const MOST_Z = 4;

type Kind = 'known' | 'unknown';
type Times = Record<Kind, number[]>;

/**
 * Wrong passwords, and sign-ups, for addresses that have an account and for others, in turns: what time and answer tell about
 * which is which.
 */
export const enumeration: Case = {
  name: 'key-proxy/enumeration',
  guarantee: 'neither answer nor time of a refused login, or of a sign-up, tells whether there is such an account',
  async run({ scale, say }) {
    const rounds = scale === 'small' ? 6 : scale === 'default' ? 16 : 100;
    const service = await startKeyProxy();
    try {
      const [logins, signUps]: [Times, Times] = [
        { known: [], unknown: [] },
        { known: [], unknown: [] },
      ];
      const failed: string[] = [];
      const timed = async (
        times: Times,
        kind: Kind,
        answer: Promise<{ status: number; ms: number }>,
        wanted: number,
      ) => {
        const { status, ms } = await answer;
        if (status !== wanted) failed.push(`for an address that is ${kind}: ${status}`);
        times[kind].push(ms);
      };
      for (let round = 0; round < rounds; round += 1) {
        const [network, host] = [1 + Math.floor(round / 200), 2 + (round % 200)];
        const [caller, joining] = [service.from(`127.0.${network}.${host}`), service.from(`127.1.${network}.${host}`)];
        const email = `known-${round}@foods.example`;
        const first = await caller('/signup', signUp(email));
        if (first.status !== 201) failed.push(`a sign-up was answered ${first.status}`);
        for (let at = 0; at < REQUESTS_AN_ADDRESS; at += 1) {
          const kind = (at + round) % 2 ? 'known' : 'unknown';
          const tried = kind === 'known' ? email : `nobody-${round}@foods.example`;
          await timed(logins, kind, caller('/login', { email: tried, password: 'a wrong password' }), 401);
          const wanted = kind === 'known' ? email : `new-${round}-${at}@foods.example`;
          await timed(signUps, kind, joining('/signup', signUp(wanted)), 201);
        }
      }
      for (const [what, times] of Object.entries({ logins, 'sign-ups': signUps })) {
        const z = rankSumZ(times.known, times.unknown);
        const [known, unknown] = [median(times.known), median(times.unknown)];
        say(
          `${times.known.length} + ${times.unknown.length} ${what}: ${known.toFixed(1)} ms known, ${unknown.toFixed(1)} ms unknown, z ${z.toFixed(2)}`,
        );
        if (Math.abs(z) > MOST_Z) failed.push(`the times of ${what} differ: z ${z.toFixed(2)}`);
      }
      return { tried: 2 * rounds * REQUESTS_AN_ADDRESS, failed, lost: [] };
    } finally {
      await service.close();
    }
  },
};

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

/** The Mann-Whitney statistic in standard deviations: far from 0 where one side tends to be slower. */
export function rankSumZ(a: readonly number[], b: readonly number[]): number {
  let slower = 0;
  for (const one of a) for (const other of b) slower += one > other ? 1 : one === other ? 0.5 : 0;
  const pairs = a.length * b.length;
  return (slower - pairs / 2) / Math.sqrt((pairs * (a.length + b.length + 1)) / 12);
}

const signUp = (email: string) => ({
  company_name: 'Example Foods',
  contact_name: 'Alice Example',
  phone_number: '+45 12 34 56 78',
  email,
  password: 'a long enough password',
  kms_selection: 'crypto-store',
  kms_credentials: {},
});

/** key-proxy in low, where a login on the public listener is bound to nothing, called from any address of loopback. */
async function startKeyProxy() {
  const closing = closeInReverse();
  try {
    const [postgres, redis, issuer] = await Promise.all([postgresForTests(), redisForTests(), testIssuer()]);
    closing.add(() => Promise.all([postgres.close(), redis.close(), issuer.close()]));
    const database = await postgres.createDatabase({ service: 'key-proxy' });
    closing.add(() => database.drop());
    const busUser = await redis.bus.user('key-proxy');
    const [leaf, busLeaf] = await Promise.all([
      postgres.authority.issue('key-proxy'),
      redis.bus.authority.issue('key-proxy'),
    ]);
    const folder = await mkdtemp(join(tmpdir(), 'postern-key-proxy-'));
    await createLocalRootKeyFile(join(folder, 'root.key'));
    const workloads = WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) }));
    const trust = { trustDomain: DEVELOPMENT_TRUST_DOMAIN, workloads, issuers: [issuer.entry] };
    await writeFile(join(folder, 'trust.json'), JSON.stringify(trust));
    const [api, publicPort, management] = await Promise.all([freePort(), freePort(), freePort()]);
    const nobody = 'https://127.0.0.1:1';
    const env = {
      PATH: process.env['PATH'] ?? '',
      POSTERN_ENVIRONMENT: 'development',
      POSTERN_PROFILE: 'fedramp-low',
      POSTERN_ROLE: 'api',
      POSTERN_API_PORT: String(api),
      POSTERN_PUBLIC_PORT: String(publicPort),
      POSTERN_MANAGEMENT_PORT: String(management),
      POSTERN_PUBLIC_URL: `https://127.0.0.1:${publicPort}`,
      POSTERN_TLS_CERT_PATH: leaf.paths.cert,
      POSTERN_TLS_KEY_PATH: leaf.paths.key,
      POSTERN_TLS_CA_PATH: leaf.paths.ca,
      POSTERN_TRUST_PATH: join(folder, 'trust.json'),
      POSTERN_POSTGRES_URL: database.url,
      POSTERN_POSTGRES_OWNER_URL: database.ownerUrl,
      POSTERN_BUS_URL: busUser.url,
      POSTERN_BUS_PASSWORD: busUser.password,
      POSTERN_BUS_TLS_CERT_PATH: busLeaf.paths.cert,
      POSTERN_BUS_TLS_KEY_PATH: busLeaf.paths.key,
      POSTERN_BUS_TLS_CA_PATH: busLeaf.paths.ca,
      POSTERN_ROOT_KEY: 'local',
      POSTERN_ROOT_KEY_PATH: join(folder, 'root.key'),
      POSTERN_AUDIT_SINK_URL: nobody,
      POSTERN_TOKEN_EXCHANGE_URL: nobody,
      POSTERN_CRYPTO_STORE_URL: nobody,
    };
    const started = (program: string) => {
      const logFile = join(testRun().directory, `key-proxy-${randomUUID()}.log`);
      const process_ = startLeashed([process.execPath, join(app, program)], { logFile, stopSignal: 'TERM', env });
      process_.ended.catch(() => {});
      return process_;
    };
    if ((await started('db/migrate.ts').exit) !== 0) throw new Error('the migration failed');
    const server = started('main.ts');
    closing.add(() => server.stop());
    await Promise.race([untilReady(`http://127.0.0.1:${management}/health/ready`), server.ended]);
    return {
      /** Requests from one address, over a connection of its own. */
      from(localAddress: string) {
        const agent = new Agent({ localAddress, connect: { ca: leaf.ca } });
        closing.add(() => agent.close());
        return async (path: string, body: object): Promise<{ status: number; ms: number }> => {
          const begun = performance.now();
          const answer = await request(`https://127.0.0.1:${publicPort}${path}`, {
            dispatcher: agent,
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(body),
          });
          await answer.body.dump();
          return { status: answer.statusCode, ms: performance.now() - begun };
        };
      },
      close: closing.close,
    };
  } catch (error) {
    await closing.close();
    throw error;
  }
}

async function untilReady(url: string): Promise<void> {
  const until = performance.now() + READY_WITHIN_MS;
  while (performance.now() < until) {
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok) return;
    await delay(100);
  }
  throw new Error('key-proxy was not ready in time');
}
