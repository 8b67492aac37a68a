import { fileURLToPath } from 'node:url';
import { type Case, type Scale } from '../assess.ts';
import { runProgram } from './run-program.ts';

const program = fileURLToPath(new URL('../../../../apps/token-exchange/test/attacks/main.ts', import.meta.url));

const ATTACKS: Record<Scale, number> = { small: 300, default: 3_000, full: 30_000 };

type Outcome = { groups: Record<string, { tried: number; accepted: number }>; sound: number; wrong: string[] };

/**
 * Random attacks on the tokens that token-exchange takes, as subjects and at its routes, over mutual TLS and without a
 * certificate: forged and unsigned ones, algorithms, kinds and tenants confused, tokens in other hands, proofs of possession
 * that are replayed, of another key, for another request. Sound tokens between them are let in.
 */
export const tokenAttacks: Case = {
  name: 'exchange/token-attacks',
  guarantee:
    'no forged, confused or stolen token and no used or foreign proof is accepted, and none ends in a 5xx (R7, R8)',
  async run({ scale, seed, say }) {
    const { groups, sound, wrong } = await runProgram<Outcome>(program, { numbers: [ATTACKS[scale], seed % 2 ** 31] });
    const counts = Object.entries(groups);
    if (scale !== 'small')
      for (const [name, { tried, accepted }] of counts) say(`${name}: ${tried} tried, ${accepted} accepted`);
    if (scale !== 'small') say(`${sound} sound ones between them accepted`);
    const idle = [
      ...counts.filter(([, { tried }]) => tried === 0).map(([name]) => `none tried: ${name}`),
      ...(sound === 0 ? ['nothing sound was accepted'] : []),
    ];
    const tried = counts.reduce((sum, [, count]) => sum + count.tried, 0);
    return { tried, failed: [...wrong, ...idle], lost: [] };
  },
};
