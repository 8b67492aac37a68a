import { randomInt } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { tokenAttacks } from './attacks/token-attacks.ts';

const ATTACKS = 400;

test(`${ATTACKS} random attacks with forged, confused and stolen tokens and proofs: none gets in, none ends in a 5xx`, async () => {
  const seed = randomInt(2 ** 31);
  const { groups, sound, wrong } = await tokenAttacks(ATTACKS, seed);
  const accepted = Object.entries(groups).filter(([, count]) => count.accepted > 0 || count.tried === 0);
  expect({ seed, accepted, wrong: wrong.slice(0, 3), sound }).toEqual({
    seed,
    accepted: [],
    wrong: [],
    sound: ATTACKS / 10,
  });
}, 120_000);
