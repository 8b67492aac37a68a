import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { event, heldIds, openWorld, until, type Reply, type World } from './world.ts';

let world: World;
let url: string;
let auditor: Awaited<ReturnType<World['caller']>>;

/** Connections of the replica that answers. */
const POOL = 4;

beforeAll(async () => {
  world = await openWorld();
  const sink = await world.sink();
  const producer = await world.producer();
  const relay = await producer.relay(sink.url, 0);
  const person = (i: number) => ({ issuer: 'https://idp.example/realms/postern', sub: `person-${i}` });
  const events = Array.from({ length: 5 }, (_, i) => event({ actor: { person: person(i), workload: 'portal' } }));
  for (const one of events) await producer.audit.commit(one);
  await until(async () => (await heldIds(world)).length === events.length, 'the events are in the log');
  await relay.close();
  await sink.close();
  ({ url } = await world.sink({ POSTERN_ROLE: 'api', POSTERN_POSTGRES_POOL_SIZE: String(POOL) }));
  auditor = await world.caller();
});
afterAll(async () => {
  await world?.close();
});

/** Answers of reads that came to the events before any of them saw one: then they hold all connections but one at most. */
async function together(paths: readonly string[]): Promise<Reply[]> {
  const waiting = `select 1 from pg_locks where relation = 'log_events'::regclass and not granted`;
  const { asked } = await world.server.asAdmin(async (admin) => {
    await admin.query('begin');
    await admin.query('lock table log_events in access exclusive mode');
    const reading = paths.map((path) => auditor.get(`${url}${path}`));
    await until(async () => (await world.asOwner(waiting)).rowCount! >= POOL - 1, 'they wait');
    await admin.query('commit');
    return { asked: reading };
  }, new URL(world.owner.url).pathname.slice(1));
  return Promise.all(asked);
}

test('twice as many reads at once as the replica has connections wait for none of them', async () => {
  const reads = ['/v1/events?action=record.read', '/v1/events?action=record.read&evidence=true'];
  const answers = await together(Array.from({ length: POOL }, () => reads).flat());
  expect(answers.map(({ status, text }) => ({ status, events: text.match(/person-\d/g)?.length }))).toEqual(
    answers.map(() => ({ status: 200, events: 5 })),
  );
});
