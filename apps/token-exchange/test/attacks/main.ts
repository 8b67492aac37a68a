import { tokenAttacks } from './token-attacks.ts';

/** `node main.ts TRIES SEED`: prints what came of that many attacks as one line of JSON. */
const [tries, seed] = process.argv.slice(2).map(Number);
process.stdout.write(`${JSON.stringify(await tokenAttacks(tries ?? 0, seed ?? 0))}\n`);
