import { openRandomWorld, randomExchanges } from './random-exchanges.ts';
import { randomGrants } from './random-grants.ts';

/** `node ceilings.ts TRIES SEED`: prints what came of that many random exchanges, and answers of a provider, as one line of JSON. */
const [tries = 0, seed = 0] = process.argv.slice(2).map(Number);
const world = await openRandomWorld({ POSTERN_LOG_LEVEL: 'error' });
try {
  const exchanges = await randomExchanges(world, tries, seed);
  process.stdout.write(`${JSON.stringify({ exchanges, grants: randomGrants(tries, seed) })}\n`);
} finally {
  await world.close();
}
