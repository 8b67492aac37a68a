import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openRandomWorld, randomExchanges } from './random-exchanges.ts';
import { randomGrants } from './random-grants.ts';
import type { World } from './token-exchange.ts';

const EXCHANGES = 3_000;
const GRANTS = 50_000;

let world: World;
beforeAll(async () => {
  world = await openRandomWorld();
});
afterAll(() => world.close());

test(`${EXCHANGES} random exchanges: what is minted is within the ceiling, what the ceiling allows is minted`, async () => {
  const seed = randomInt(2 ** 31);
  const { granted, ways, wrong } = await randomExchanges(world, EXCHANGES, seed);
  expect({ seed, wrong: wrong.slice(0, 3), granted: granted > EXCHANGES / 20 }).toEqual({
    seed,
    wrong: [],
    granted: true,
  });
  // Several audiences, ID tokens, actors and logins are among what was granted.
  expect({ seed, never: Object.entries(ways).filter(([, times]) => times === 0) }).toEqual({ seed, never: [] });
}, 300_000);

test(`${GRANTS} random answers of a provider: what is as asked is taken, and nothing else`, () => {
  const seed = randomInt(2 ** 31);
  const { taken, wrong } = randomGrants(GRANTS, seed);
  expect({ seed, wrong: wrong.slice(0, 3), taken: taken > GRANTS / 5 }).toEqual({ seed, wrong: [], taken: true });
});
