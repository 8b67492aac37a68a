import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { newestCheckpoint } from '../src/log/checkpoints.ts';
import { giveUpBefore } from '../src/retention/retention.ts';
import { event, heldIds, openWorld, until, type World } from './world.ts';

let world: World;
let url: string;
let quiet: Awaited<ReturnType<World['producer']>>;

/** A producer that said one thing 400 days ago, another that says much, and all that is old given up. */
beforeAll(async () => {
  world = await openWorld();
  ({ url } = await world.sink());
  quiet = await world.producer('key-proxy');
  const busy = await world.producer();
  const commit = async (producer: typeof quiet, count: number) => {
    const events = Array.from({ length: count }, () => event());
    await Promise.all(events.map((one) => producer.audit.commit(one)));
    const last = async () => {
      const held = new Set(await heldIds(world, producer.name));
      return events.every(({ id }) => held.has(id));
    };
    await until(last, 'the events are in the log');
  };
  await quiet.relay(url, 0);
  await busy.relay(url, 0);
  await commit(quiet, 1);
  await commit(busy, 600);
  await world.asOwner(`update log_runs set received_at = received_at - interval '400 days'`);
  await commit(busy, 2);
  expect(await giveUpBefore(world.log.query, new Date(Date.now() - 365 * 86_400_000))).toBeGreaterThanOrEqual(256);
});
afterAll(async () => {
  await world?.close();
});

const watermark = async (from: number) => {
  const answer = await request(`${url}/v1/watermarks/key-proxy?from=${from}`, { dispatcher: quiet.agent });
  return { status: answer.statusCode, body: (await answer.body.json()) as Record<string, unknown> };
};

test('a producer whose last entry was given up is still told how far the log holds it, from the checkpoint that it has (R27)', async () => {
  const { size } = (await newestCheckpoint(world.log.query))!;
  expect(await watermark(size)).toMatchObject({
    status: 200,
    body: { epoch: 1, seq: 1, index: expect.any(Number), inclusion: [] },
  });
});

test('a witness that was away longer than the log keeps leaves is told why it gets no proof', async () => {
  expect(await watermark(3)).toMatchObject({ status: 410, body: { code: 'tile_given_up' } });
});
