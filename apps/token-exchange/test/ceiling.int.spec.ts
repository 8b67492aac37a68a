import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomExchanges } from './random-exchanges.ts';
import { openWorld, type World } from './token-exchange.ts';

const EXCHANGES = 10_000;

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

test(`${EXCHANGES} random exchanges: what is minted is within the ceiling, what the ceiling allows is minted`, async () => {
  const seed = randomInt(2 ** 31);
  const { granted, wrong } = await randomExchanges(world, EXCHANGES, seed);
  expect({ seed, wrong: wrong.slice(0, 3), granted: granted > EXCHANGES / 20 }).toEqual({
    seed,
    wrong: [],
    granted: true,
  });
}, 300_000);
