import { randomInt } from 'node:crypto';

import { expect, test } from '@jest/globals';

import { assess } from '../src/assess.ts';
import { envelopeRefusals } from '../src/envelope/refusals.ts';
import { envelopeReuse } from '../src/envelope/reuse.ts';

test.each([envelopeRefusals, envelopeReuse])('$name: $guarantee', async (each) => {
  const said: string[] = [];
  const seed = randomInt(1, 2 ** 32);
  const row = await assess(each, { scale: 'small', seed, say: (line) => said.push(line) });
  expect({ row, said }).toMatchObject({ row: { case: each.name, failed: 0, lost: 0, holds: true }, said: [] });
});
