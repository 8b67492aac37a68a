import { expect, test } from '@jest/globals';

import { envelopeRefusals } from '../src/envelope/refusals.ts';
import { envelopeReuse } from '../src/envelope/reuse.ts';
import { expectToHold } from './expect-to-hold.ts';

test.each([envelopeRefusals, envelopeReuse])('$name: $guarantee', async (each) => {
  const { said } = await expectToHold(each);
  expect(said).toEqual([]);
});
