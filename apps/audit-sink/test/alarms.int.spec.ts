import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRegistry, silentLogger, systemNow } from '@postern/runtime';
import { readConfig } from '../src/config.ts';
import { createConsumer } from '../src/intake/consume.ts';
import { producerBatches } from './producer-batches.ts';
import { openWorld, type World } from './world.ts';

let world: World;

beforeAll(async () => {
  world = await openWorld();
});
afterAll(async () => {
  await world?.close();
});

test('whoever raises a thousand alarms silences none that come after (R22)', async () => {
  const producer = await world.producer();
  const { job } = producerBatches(producer.name, producer.tls).next(1);
  const told: unknown[] = [];
  let at = 0;
  const consume = createConsumer({
    query: world.log.query,
    append: async () => ({ result: 'fork', at }),
    tls: producer.tls,
    workloads: readConfig(world.env).trust,
    audit: { commit: async ({ details }) => told.push(details['about']) > 0 },
    logger: silentLogger(),
    metrics: createRegistry('audit-sink'),
    now: systemNow,
  });
  for (at = 1; at <= 1_001; at += 1) await expect(consume(job, producer.name)).rejects.toThrow('sequence_fork');
  expect(told.at(-1)).toBe('crypto-store/1/1001');
  // Each once, while it is remembered.
  at = 1_001;
  await expect(consume(job, producer.name)).rejects.toThrow('sequence_fork');
  expect(told).toHaveLength(1_001);
});
