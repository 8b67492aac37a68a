import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { AUDIT_QUEUE, auditJob, type AuditEvent } from '@postern/audit';
import { busAcl, openBus } from '@postern/bus';
import { openAgent, watchTlsMaterial } from '@postern/mtls';
import { withLease } from '@postern/postgres';
import { closeInReverse, silentLogger } from '@postern/runtime';
import { freePort, postgresForTests, redisForTests } from '@postern/testing';
import { openAudit, type Audit } from '../src/index.ts';
import { hearOfEvents, type NewEvents } from '../src/new-events.ts';
import { lead } from '../src/relay/lead.ts';
import { event, outboxDatabase } from './fixture.ts';

const SERVICE = 'crypto-store';
/** In place of the relay's look every half second: what comes before its end was told. */
const NEVER_MS = 3_600_000;

const logger = silentLogger();
const closing = closeInReverse();
let at: Awaited<ReturnType<typeof outboxDatabase>>;
let audit: Audit;

beforeAll(async () => {
  const server = await postgresForTests();
  closing.add(() => server.close());
  at = await outboxDatabase(server);
  closing.add(() => at.close());
  audit = closing.after(await openAudit({ postgres: at.postgres, producer: SERVICE, logger }));
});
afterAll(() => closing.close());

/** A relay that looks by itself no more than once: what it waits for, and the jobs that it puts on the bus. */
async function openRelay() {
  const [redis, postgres] = await Promise.all([redisForTests(), postgresForTests()]);
  closing.add(() => Promise.all([redis.close(), postgres.close()]));
  const busOf = async (service: string) =>
    closing.after(await openBus({ ...(await redis.bus.user(service, busAcl(service))), service, logger }));
  const [bus, sinkBus] = [await busOf(SERVICE), await busOf('audit-sink')];
  const jobs: unknown[] = [];
  sinkBus.worker({ queue: AUDIT_QUEUE, of: SERVICE }, async (payload) => void jobs.push(payload));
  const tls = closing.after(await watchTlsMaterial((await postgres.authority.issue(SERVICE)).paths));
  // Nobody is there: it is not the log's answer either that has the relay look again.
  const sink = { url: `https://127.0.0.1:${await freePort()}`, dispatcher: closing.after(openAgent(tls)) };
  const heard = closing.after(hearOfEvents(at.postgres.pool));
  const waits = Promise.withResolvers<void>();
  const events: Pick<NewEvents, 'next'> = {
    next(_ms, stop) {
      waits.resolve();
      return heard.next(NEVER_MS, stop);
    },
  };
  const stop = new AbortController();
  const options = { postgres: at.postgres, producer: SERVICE, bus, tls, sink, logger };
  const running = withLease(at.postgres.pool, 'wake', (term) => lead(options, term, events, stop.signal));
  closing.add(async () => {
    stop.abort();
    await running;
  });
  return { jobs, waits: waits.promise };
}

test('a commit wakes the relay that waits, and the event is on the bus without its look', async () => {
  const relay = await openRelay();
  await relay.waits;
  await audit.commit(event());
  for (const end = Date.now() + 90_000; relay.jobs.length === 0; await sleep(20))
    if (Date.now() > end) throw new Error('the relay was not woken');
  expect(auditJob.safeParse(relay.jobs[0]).success).toBe(true);
});

test.each<[string, (made: AuditEvent) => Promise<unknown>]>([
  ['a read that is recorded', (made) => audit.commit(made)],
  ['a mutation with its event', (made) => at.postgres.db.transaction().execute((tx) => audit.within(tx, made))],
])(
  '%s is told to the relay of its process',
  async (_, record) => {
    const events = closing.after(hearOfEvents(at.postgres.pool));
    const told = events.next(60_000, new AbortController().signal);
    await record(event());
    expect(await told).toBe(true);
  },
  180_000,
);
