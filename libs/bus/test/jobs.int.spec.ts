import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { queryIn } from '@postern/postgres';
import { problem, silentLogger } from '@postern/runtime';
import { postgresForTests, redisForTests, type RedisPair } from '@postern/testing';
import {
  busAcl,
  cancelJob,
  jobEvents,
  jobKind,
  openBus,
  readJob,
  runJobs,
  startJob,
  wakeJob,
  type Bus,
  type JobEnd,
  type JobKinds,
  type JobsOptions,
  type JobWork,
} from '../src/index.ts';
import { claimJob } from '../src/jobs/claim-job.ts';
import { busDatabase, until, type BusDatabase } from './world.ts';

let server: Awaited<ReturnType<typeof postgresForTests>>;
let redis: RedisPair;
let at: BusDatabase;
let bus: Bus;
const closes: (() => Promise<void>)[] = [];
const reader = { tenant: 'acme', client: 'portal' };

beforeAll(async () => {
  [server, redis] = await Promise.all([postgresForTests(), redisForTests()]);
  at = await busDatabase(server, 'crypto-store');
  const user = await redis.bus.user('crypto-store', busAcl('crypto-store'));
  bus = await openBus({ ...user, service: 'crypto-store', logger: silentLogger() });
});
afterEach(async () => {
  for (const close of closes.splice(0)) await close();
  await at.query('delete from background_jobs');
  await at.query('delete from things');
});
afterAll(async () => {
  await bus?.close();
  await at?.close();
  await Promise.all([server?.close(), redis?.close()]);
});

type Count = { upTo: number };
const input = z.strictObject({ upTo: z.int().min(0) });
/** Writes a row a step; `meanwhile` steps in between. */
const counting = (meanwhile: (work: JobWork<unknown, Count>, n: number) => Promise<void> | void = () => {}) =>
  jobKind<unknown, Count>({
    version: 1,
    input,
    async run(work) {
      const total = work.input.upTo;
      for (let n = Number(work.checkpoint?.['n'] ?? 0) + 1; n <= total; n += 1) {
        await meanwhile(work, n);
        await work.step(async (tx) => {
          await queryIn(tx)('insert into things (what) values ($1)', [String(n)]);
          return { done: n, total, checkpoint: { n } };
        });
      }
      return { counted: total };
    },
  });

function worker(kinds: JobKinds<unknown>, ended?: JobsOptions<unknown>['ended']) {
  const jobs = runJobs<unknown>({ db: at.db, bus, kinds, ended, logger: silentLogger() });
  closes.push(() => jobs.close());
  return jobs;
}
const start = (upTo: number, over: Partial<Parameters<typeof startJob<Count>>[1]> = {}) =>
  at.db
    .transaction()
    .execute((tx) =>
      startJob(queryIn(tx), { name: 'count', kind: { version: 1, input }, input: { upTo }, tenant: 'acme', ...over }),
    );
const hinted = async (id: string) => {
  await wakeJob(bus, id);
  return id;
};
const view = async (id: string) => (await readJob(at.query, id, reader))!;
const stateOf = async (id: string) => (await view(id)).state;
const upTo = (n: number) => Array.from({ length: n }, (_, i) => String(i + 1));

test('a job runs to its end: progress, result and events are there to read, and its end is told in its transaction', async () => {
  const ends: JobEnd[] = [];
  worker({ count: counting() }, async (_tx, end) => void ends.push(end));
  const id = await start(3);
  await wakeJob(bus, id);
  await until(async () => (await stateOf(id)) === 'done', 'the job is done');
  expect(await view(id)).toMatchObject({ progress: { done: 3, total: 3 }, result: { counted: 3 }, reason: null });
  expect((await jobEvents(at.query, id, 0)).map(({ kind }) => kind)).toEqual(['queued', 'started', 'progress', 'done']);
  expect(ends).toEqual([{ id, kind: 'count', tenant: 'acme', state: 'done' }]);
  expect(await at.things()).toEqual(upTo(3));
});

test('a job starts with its transaction or not at all, and once for one id', async () => {
  const id = crypto.randomUUID();
  expect([await start(0, { id }), await start(0, { id })]).toEqual([id, id]);
  await expect(
    at.db.transaction().execute(async (tx) => {
      await startJob(queryIn(tx), { name: 'count', kind: { version: 1, input }, input: { upTo: 1 }, tenant: 'acme' });
      throw new Error('undo');
    }),
  ).rejects.toThrow('undo');
  expect(await at.query('select id from background_jobs')).toEqual([{ id }]);
});

test('a job whose hint Redis lost is taken all the same; a forged hint starts nothing (R33)', async () => {
  worker({ count: counting() });
  await bus.queue('jobs').add({ v: 1, id: crypto.randomUUID() });
  await bus.queue('jobs').add({ forged: true });
  const id = await start(2);
  await redis.bus.asAdmin((client) => client.flushDb());
  await until(async () => (await stateOf(id)) === 'done', 'the job is done');
});

test('of two replicas one runs a job, however often it is hinted at', async () => {
  let runs = 0;
  const kinds = { count: counting((_, n) => void (runs += n === 1 ? 1 : 0)) };
  worker(kinds);
  worker(kinds);
  const id = await start(20);
  await Promise.all(Array.from({ length: 5 }, () => wakeJob(bus, id)));
  await until(async () => (await stateOf(id)) === 'done', 'the job is done');
  expect(runs).toBe(1);
  expect(await at.things()).toEqual(upTo(20));
});

test('a replica that stops gives its job back, and another goes on from its last step: no step twice, none lost', async () => {
  const reached = Promise.withResolvers<void>();
  const first = worker({ count: counting(async (work, n) => (n === 4 ? waitFor(work.signal, reached) : undefined)) });
  const id = await hinted(await start(8));
  await reached.promise;
  await first.close();
  expect(await stateOf(id)).toBe('queued');
  // Its step had set them back already.
  expect(await at.query('select attempts from background_jobs where id = $1', [id])).toEqual([{ attempts: 0 }]);
  worker({ count: counting() });
  await until(async () => (await stateOf(id)) === 'done', 'the job is done');
  expect(await at.things()).toEqual(upTo(8));
});

/** Says that it came so far, and waits until it is told to end. */
const waitFor = (signal: AbortSignal, reached: { resolve(): void }): Promise<void> => {
  reached.resolve();
  return new Promise((done) => signal.addEventListener('abort', () => done(), { once: true }));
};

test('a replica that lost its job to another writes nothing more, though it goes on (fence)', async () => {
  const [reached, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let waits = true;
  worker({
    count: counting(async (_, n) => {
      // Once: the replica that lost the job may be the one that takes it anew.
      if (n !== 3 || !waits) return;
      waits = false;
      reached.resolve();
      await go.promise;
    }),
  });
  const id = await hinted(await start(6));
  await reached.promise;
  // As if it had given no sign for longer than its lease.
  await at.query('update background_jobs set next_at = now()');
  worker({ count: counting() });
  await hinted(id);
  await until(async () => (await stateOf(id)) === 'done', 'the other one is done');
  go.resolve();
  for (const close of closes.splice(0)) await close();
  expect(await at.things()).toEqual(upTo(6));
  expect(await stateOf(id)).toBe('done');
});

test('a cancelled job ends before its next step, and one that waits at once; cancelling again changes nothing', async () => {
  const reached = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  worker({
    count: counting(async (_, n) => {
      if (n !== 3) return;
      reached.resolve();
      await go.promise;
    }),
  });
  const id = await hinted(await start(6));
  await reached.promise;
  const cancel = (job: string, by = reader) => at.db.transaction().execute((tx) => cancelJob(queryIn(tx), job, by));
  expect(await cancel(id, { tenant: 'other', client: 'portal' })).toBeNull();
  expect(await cancel(id)).toMatchObject({ state: 'running', cancelRequested: true });
  await cancel(id);
  go.resolve();
  await until(async () => (await stateOf(id)) === 'cancelled', 'the job is cancelled');
  expect(await at.things()).toEqual(upTo(2));
  const waiting = await start(1, { name: 'unknown' });
  expect(await cancel(waiting)).toMatchObject({ state: 'cancelled' });
  expect((await jobEvents(at.query, id, 0)).map(({ kind }) => kind)).toEqual([
    'queued',
    'started',
    'progress',
    'cancel_requested',
    'cancelled',
  ]);
});

test('a failing job is tried again from its last step, and after five attempts without one it fails with its code', async () => {
  let attempts = 0;
  worker({
    count: counting((_, n) => {
      if (n === 2 && (attempts += 1) > 0) throw problem('keys_unavailable', { detail: 'not shown' });
    }),
  });
  const id = await hinted(await start(3));
  await until(async () => {
    const due = await at.query(`update background_jobs set next_at = now() where state = 'queued' returning 1`);
    if (due.length > 0) await wakeJob(bus, id);
    return (await stateOf(id)) === 'failed';
  }, 'the job failed');
  expect(await view(id)).toMatchObject({ reason: 'keys_unavailable', progress: { done: 1 } });
  // One that made a step, and five that made none.
  expect(attempts).toBe(6);
  expect(await at.things()).toEqual(['1']);
});

test('a job that kills whoever has it is taken ten times, each counted before its work, and then has failed', async () => {
  const ends: JobEnd[] = [];
  let runs = 0;
  const id = await start(1);
  const claim = () => at.db.transaction().execute((tx) => claimJob(queryIn(tx), [{ kind: 'count', version: 1 }], id));
  // As a replica does that is killed before its first step, and whose lease ends.
  for (let n = 1; n <= 10; n += 1) {
    expect(await claim()).toMatchObject({ id, attempts: n });
    await at.query('update background_jobs set next_at = now()');
  }
  worker({ count: counting(() => void (runs += 1)) }, async (_tx, end) => void ends.push(end));
  await hinted(id);
  await until(async () => (await stateOf(id)) === 'failed', 'the job failed');
  expect(await view(id)).toMatchObject({ reason: 'attempts_lost' });
  expect(ends).toEqual([{ id, kind: 'count', tenant: 'acme', state: 'failed' }]);
  expect(runs).toBe(0);
});

test('a job is forgotten ninety days after its end, with its events; one that runs or waits is not, however old', async () => {
  const [old, recent, waiting] = [await start(0), await start(0), await start(1, { name: 'unknown' })];
  worker({ count: counting() });
  await until(async () => (await stateOf(old)) === 'done' && (await stateOf(recent)) === 'done', 'both are done');
  await at.query(`update background_jobs set created_at = now() - interval '1 year'`);
  await at.query(
    `update background_jobs set ended_at = now() - case id when $1 then interval '91 days' else interval '89 days' end
    where ended_at is not null`,
    [old],
  );
  // A worker does it at its start, and every hour.
  worker({});
  await until(async () => (await readJob(at.query, old, reader)) === null, 'the old one is forgotten');
  expect(await jobEvents(at.query, old, 0)).toEqual([]);
  expect([await stateOf(recent), await stateOf(waiting)]).toEqual(['done', 'queued']);
});

test('a job of a version that this release does not know waits for one that does', async () => {
  const id = await start(1, { kind: { version: 2, input } });
  worker({ count: counting() });
  const known = await hinted(await start(1));
  await until(async () => (await stateOf(known)) === 'done', 'the known one is done');
  expect(await stateOf(id)).toBe('queued');
  worker({ count: { ...counting(), version: 2 } });
  await until(async () => (await stateOf(id)) === 'done', 'the other one is done');
});

test("another tenant's job, and one of another client, are not there", async () => {
  const id = await start(1, { owner: 'job' });
  expect(await readJob(at.query, id, reader)).toBeNull();
  expect(await readJob(at.query, id, { tenant: 'acme', client: 'job' })).toMatchObject({ id });
  expect(await readJob(at.query, id, { tenant: 'other', client: 'job' })).toBeNull();
});
