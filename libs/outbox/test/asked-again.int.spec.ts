import { generateKeyPairSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Watermark } from '@postern/audit';
import { busAcl, openBus } from '@postern/bus';
import { watchTlsMaterial } from '@postern/mtls';
import { closeInReverse, silentLogger } from '@postern/runtime';
import { postgresForTests, redisForTests, type RedisPair, type TestPostgres } from '@postern/testing';
import { signCheckpoint, verifierLine } from '@postern/transparency';
import { openAudit, startRelay } from '../src/index.ts';
import { event, outboxDatabase } from './fixture.ts';

const SERVICE = 'crypto-store';
const ORIGIN = 'log.example/audit';
const ASKED = 6;

const closing = closeInReverse();
let server: TestPostgres;
let redis: RedisPair;
let at: Awaited<ReturnType<typeof outboxDatabase>>;

beforeAll(async () => {
  [server, redis] = await Promise.all([postgresForTests(), redisForTests()]);
  closing.add(() => Promise.all([server.close(), redis.close()]));
  at = await outboxDatabase(server);
  closing.add(() => at.close());
});
afterAll(() => closing.close());

const pair = generateKeyPairSync('ed25519');
const nothing = { epoch: 0, seq: 0, hash: null, index: null, inclusion: [], checkpoint: null, consistency: [] };
const key = verifierLine({ name: ORIGIN, key: pair.publicKey });

/** A log that holds the one event that was numbered, as its first entry, and asks for it again. */
async function watermark(): Promise<Watermark> {
  const [held] = await at.postgres.query<{ hash: Buffer }>('select hash from audit_batches');
  if (!held) return { ...nothing, producer: SERVICE, key };
  const note = signCheckpoint({ origin: ORIGIN, size: 1, root: held.hash }, { name: ORIGIN, key: pair.privateKey });
  const hash = held.hash.toString('base64url');
  const holds = { epoch: 1, seq: 1, hash, index: 0, checkpoint: note, published: 0, resend: { epoch: 1, seq: 1 } };
  return { ...nothing, ...holds, producer: SERVICE, key };
}

test('a bus that takes nothing is not tried without a pause, though the log asks for events again', async () => {
  const audit = closing.after(await openAudit({ postgres: at.postgres, producer: SERVICE, logger: silentLogger() }));
  await audit.commit(event());
  // A real one, whose user may add nothing: it refuses at once, as a Redis does that is full.
  const user = await redis.bus.user(SERVICE, `${busAcl(SERVICE)} -eval -evalsha`);
  const bus = closing.after(await openBus({ ...user, service: SERVICE, logger: silentLogger() }));
  let tried = 0;
  let refused = 0;
  const queue = (name: string) => {
    const real = bus.queue(name);
    const add = (payload: unknown) => {
      tried += 1;
      return real.add(payload).catch((error: unknown) => {
        refused += 1;
        throw error;
      });
    };
    return { ...real, add };
  };
  let asked = 0;
  const relay = await startRelay({
    postgres: at.postgres,
    producer: SERVICE,
    bus: { queue },
    tls: closing.after(await watchTlsMaterial((await server.authority.issue(SERVICE)).paths)),
    sink: { watermark: async () => ((asked += 1), watermark()) },
    logger: silentLogger(),
  });
  closing.add(() => relay.close());
  const before = tried;
  for (const end = Date.now() + 90_000; asked < ASKED; await sleep(20))
    if (Date.now() > end) throw new Error('the log was not asked');
  expect(tried).toBeGreaterThan(before);
  expect(refused).toBeGreaterThanOrEqual(tried - 1);
  // It asks every half second, and tries about as often.
  expect(tried).toBeLessThan(ASKED * 5);
});
