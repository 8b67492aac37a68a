import { expect, test } from '@jest/globals';
import { leaksOf, newCanary } from './canary.ts';

test('a canary is found in clear and in every encoding, wherever it begins, and not where it is not', () => {
  const canary = newCanary();
  const within = (text: string) => leaksOf(canary, 'here', text).length > 0;
  for (const before of ['', 'a', 'ab', 'abc']) {
    const text = Buffer.from(`${before}${canary}, and more`);
    expect(within(text.toString())).toBe(true);
    expect(within(text.toString('base64'))).toBe(true);
    expect(within(text.toString('base64url'))).toBe(true);
    expect(within(text.toString('hex'))).toBe(true);
    expect(within(text.toString('hex').toUpperCase())).toBe(true);
  }
  expect(within(encodeURIComponent(`ä ${canary}`))).toBe(true);
  expect(within(newCanary())).toBe(false);
});
