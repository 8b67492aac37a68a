import { randomExchanges } from './random-exchanges.ts';
import { openWorld } from './token-exchange.ts';

/** `node ceilings.ts EXCHANGES SEED`: prints what came of that many random exchanges as one line of JSON. */
const [exchanges, seed] = process.argv.slice(2).map(Number);
const world = await openWorld({ env: { POSTERN_LOG_LEVEL: 'error' } });
try {
  process.stdout.write(`${JSON.stringify(await randomExchanges(world, exchanges ?? 0, seed ?? 0))}\n`);
} finally {
  await world.close();
}
