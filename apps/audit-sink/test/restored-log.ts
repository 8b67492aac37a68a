import { expect } from '@jest/globals';
import { request } from 'undici';
import { newestCheckpoint } from '../src/log/checkpoints.ts';
import { publishedSize } from '../src/publication/publish.ts';
import { event, heldIds, until, type World } from './world.ts';

type Producer = Awaited<ReturnType<World['producer']>>;

/** What a backup of the log's database holds, but for what its own producer keeps. */
const TABLES = [
  'log_head',
  'log_runs',
  'log_tiles',
  'log_events',
  'log_subjects',
  'log_counts',
  'log_checkpoints',
  'log_watermarks',
  'log_publication',
  'log_closings',
];

async function commit(producer: Producer, count: number): Promise<string[]> {
  const events = Array.from({ length: count }, () => event());
  await Promise.all(events.map((one) => producer.audit.commit(one)));
  return events.map(({ id }) => id);
}

/**
 * A log of 30 events, backed up after 10, published, ended and restored to the backup.
 *
 * @param options `keepForSeconds`: how long the producer keeps what the log holds. `meanwhile`: what happens between backup and
 *   restore, beside the events.
 */
export async function restoredLog(
  world: World,
  producer: Producer,
  {
    keepForSeconds,
    meanwhile = async () => undefined,
  }: { keepForSeconds: number; meanwhile?: ((url: string) => Promise<unknown>) | undefined },
) {
  const sink = await world.sink();
  const relay = await producer.relay(sink.url, keepForSeconds);
  const ids = await commit(producer, 10);
  await until(async () => (await heldIds(world)).length === 10, 'the first events are in the log');
  await world.asOwner(TABLES.map((table) => `create table backup_${table} as select * from ${table}`).join(';'));
  for (const count of [5, 15]) {
    ids.push(...(await commit(producer, count)));
    await until(async () => (await heldIds(world)).length === ids.length, 'more events are in the log');
  }
  await meanwhile(sink.url);
  const published = async () => {
    const newest = await newestCheckpoint(world.log.query);
    return newest?.size === (await publishedSize(world.log.query));
  };
  await until(published, 'the log is published');
  const left = () => producer.postgres.query('select 1 from audit_batches');
  if (keepForSeconds === 0) await until(async () => (await left()).length === 0, 'the producer has forgotten them');
  await relay.close();
  await sink.close();
  const size = (await newestCheckpoint(world.log.query))!.size;
  const restore = () =>
    world.asOwner(
      TABLES.map((table) => `delete from ${table}; insert into ${table} select * from backup_${table}`).join(';'),
    );
  await restore();
  return { size, ids, restore };
}

/** The operator closes a producer; the entry that says so is in the log. @returns what the log answered. */
export async function closeProducer(world: World, url: string, name: string): Promise<Record<string, unknown>> {
  const operator = await world.caller();
  const token = await operator.token({ scopes: ['log:operate'], roles: ['operator'] });
  const answer = await request(`${url}/v1/log/producers/${name}/close`, {
    method: 'POST',
    dispatcher: operator.dispatcher,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ reason: 'compromised' }),
  });
  const body = (await answer.body.json()) as Record<string, unknown>;
  expect({ status: answer.statusCode, body }).toMatchObject({ status: 200 });
  const recorded = `select 1 from log_every_event where action = 'producer.closed'`;
  await until(async () => (await world.log.query(recorded)).length === 1, 'the closing is in the log');
  return body;
}
