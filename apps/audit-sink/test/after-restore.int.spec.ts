import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import type { LokiStream } from '../src/forwarders/targets/loki.ts';
import { cursorAt } from '../src/search/cursor.ts';
import { openReceiver, type Receiver } from './receiver.ts';
import { closeProducer, restoredLog } from './restored-log.ts';
import { event, heldIds, openWorld, until, type World } from './world.ts';

let world: World;
let producer: Awaited<ReturnType<World['producer']>>;
let loki: Receiver;
let ids: string[];
let sink: Awaited<ReturnType<World['sink']>>;
let following: { close(): Promise<void> } | undefined;

const bob = { issuer: 'https://idp.example/realms/postern', sub: 'bob' };

/** One more event, and the erasure of the person it is about. */
async function eraseBob(url: string): Promise<void> {
  const one = event({ actor: { person: bob, workload: 'portal' } });
  await producer.audit.commit(one);
  await until(async () => (await heldIds(world)).includes(one.id), 'the event is in the log');
  const admin = await world.caller();
  const answer = await request(`${url}/v1/erasures`, {
    method: 'POST',
    dispatcher: admin.dispatcher,
    headers: {
      authorization: `Bearer ${await admin.token({ scopes: ['audit:erase'], roles: ['admin'] })}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(bob),
  });
  expect(answer.statusCode).toBe(200);
  await answer.body.dump();
  const recorded = `select 1 from log_every_event where action = 'subject.erased'`;
  await until(async () => (await world.log.query(recorded)).length === 1, 'the erasure is in the log');
}

/** The log has its leaves back, and waits for its last 20 events; a forwarder that begins with the log follows it. */
beforeAll(async () => {
  world = await openWorld();
  producer = await world.producer();
  ({ ids } = await restoredLog(world, producer, { keepForSeconds: 3_600, meanwhile: eraseBob }));
  loki = await openReceiver(world, () => ({ status: 204 }));
  const targets = [{ kind: 'loki', name: 'after', url: loki.url, filter: { actions: ['record.read'] } }];
  sink = await world.sink(await world.documents({ forwarders: { targets } }));
});
afterAll(async () => {
  await following?.close();
  await world?.close();
  await loki?.close();
});

const forwarded = (): string[] =>
  loki.received
    .flatMap(({ body }) => (JSON.parse(body) as { streams: LokiStream[] }).streams)
    .flatMap(({ values }) => values.map(([, line]) => (JSON.parse(line) as { id: string }).id));

/** Ids of events of a stream behind the log's first entry, as they come. */
async function follow(seen: string[]): Promise<{ close(): Promise<void> }> {
  const auditor = await world.caller();
  const answer = await request(`${sink.url}/v1/events/stream?action=record.read&after=${cursorAt(0)}`, {
    dispatcher: auditor.dispatcher,
    headers: { authorization: `Bearer ${await auditor.token()}` },
  });
  expect(answer.statusCode).toBe(200);
  const reading = (async () => {
    for await (const line of createInterface({ input: answer.body })) {
      if (line.startsWith('data: ')) seen.push((JSON.parse(line.slice('data: '.length)) as { id: string }).id);
    }
  })().catch(() => {});
  return { close: async () => (answer.body.destroy(), reading) };
}

test('a forwarder and a stream that come to what a restore lost wait there, and pass none of it over (R27)', async () => {
  const seen: string[] = [];
  following = await follow(seen);
  const [first] = await world.log.query<{ event_id: string }>('select event_id from log_every_event where index = 0');
  const behind = ids.filter((id) => id !== first?.event_id);
  const kept = ids.slice(0, 10);
  await until(() => kept.every((id) => forwarded().includes(id)), 'the forwarder came so far');
  await until(() => kept.every((id) => !behind.includes(id) || seen.includes(id)), 'so did the stream');
  expect((await world.log.query('select 1 from log_wanted')).length).toBeGreaterThanOrEqual(20);
  await producer.relay(sink.url);
  await until(() => ids.every((id) => forwarded().includes(id)), 'all were forwarded');
  await until(() => behind.every((id) => seen.includes(id)), 'all were seen by who follows');
  const own = (some: string[]) => some.filter((id) => ids.includes(id)).toSorted();
  expect(own(forwarded())).toEqual(ids.toSorted());
  expect(own(seen)).toEqual(behind.toSorted());
});

test('a producer whose entries came back without their signatures can be closed (R26, R27)', async () => {
  const { certificates, epoch } = await closeProducer(world, sink.url, 'crypto-store');
  expect(epoch).toBe(1);
  const [restored, ...others] = (certificates as { thumbprint: string | null; entries: number }[]).toSorted(
    (a, b) => Number(a.thumbprint !== null) - Number(b.thumbprint !== null),
  );
  expect(restored).toMatchObject({ thumbprint: null, entries: 21 });
  expect(others.length).toBeGreaterThan(0);
  expect(others.every(({ thumbprint }) => typeof thumbprint === 'string')).toBe(true);
});

test('an erasure that the restore undid is an alarm: who asked for it has to ask again (R28)', async () => {
  const alarm = `select 1 from log_every_event where action = 'alarm.raised'`;
  await until(async () => (await world.log.query(alarm)).length === 1, 'the alarm is in the log');
  expect(world.logged.filter((line) => line.includes('the restore undid erasures'))).toHaveLength(1);
});
