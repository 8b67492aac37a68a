import { createPrivateKey, createPublicKey } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesOf } from '../secret-value.ts';
import { generateValue, type Generate } from './generate-value.ts';

const text = (asked: Generate) => generateValue(asked).value.content.reveal();

test('random values have the length and the form that is asked for', () => {
  expect(text({ kind: 'random', bytes: 32, as: 'hex' })).toMatch(/^[0-9a-f]{64}$/);
  expect(text({ kind: 'random', bytes: 32, as: 'base64url' })).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(bytesOf(generateValue({ kind: 'random', bytes: 24, as: 'bytes' }).value)).toHaveLength(24);
  expect(new Set(Array.from({ length: 100 }, () => text({ kind: 'random', bytes: 16, as: 'hex' }))).size).toBe(100);
});

test('a password meets its rules, whatever they are, or they are refused', () => {
  const least = fc.integer({ min: 0, max: 6 });
  const rules = fc.record({
    kind: fc.constant('password' as const),
    length: fc.integer({ min: 8, max: 40 }),
    lower: least,
    upper: least,
    digits: least,
    symbols: least,
    exclude: fc.constantFrom('', 'O0l1I', '0123456789'),
  });
  fc.assert(
    fc.property(rules, (asked) => {
      let made: string;
      try {
        made = text(asked);
      } catch (error) {
        const sum = asked.lower + asked.upper + asked.digits + asked.symbols;
        expect(error).toMatchObject({ code: 'rules_contradict' });
        expect(sum > asked.length || sum === 0 || (asked.digits > 0 && asked.exclude.length === 10)).toBe(true);
        return;
      }
      const count = (pattern: RegExp) => [...made].filter((one) => pattern.test(one)).length;
      expect(made).toHaveLength(asked.length);
      for (const [pattern, min] of [
        [/[a-z]/, asked.lower],
        [/[A-Z]/, asked.upper],
        [/[0-9]/, asked.digits],
        [/[^a-zA-Z0-9]/, asked.symbols],
      ] as const) {
        expect(count(pattern)).toBeGreaterThanOrEqual(min);
        if (min === 0) expect(count(pattern)).toBe(0);
      }
      for (const excluded of asked.exclude) expect(made).not.toContain(excluded);
    }),
    { numRuns: 200 },
  );
});

test('the characters of a password are spread evenly over their places', () => {
  const counts = new Map<string, number>();
  for (let n = 0; n < 2_000; n += 1) {
    const [first = ''] = text({ kind: 'password', length: 10, lower: 1, upper: 0, digits: 1, symbols: 0, exclude: '' });
    counts.set(
      /[0-9]/.test(first) ? 'digit' : 'letter',
      (counts.get(/[0-9]/.test(first) ? 'digit' : 'letter') ?? 0) + 1,
    );
  }
  // One forced digit and letter in ten, eight of 36 characters: 0.1 + 0.8 * 10 / 36 = 0.322; five standard deviations are 0.052.
  expect((counts.get('digit') ?? 0) / 2_000).toBeGreaterThan(0.27);
  expect((counts.get('digit') ?? 0) / 2_000).toBeLessThan(0.375);
});

test('a key pair: the private key in PKCS #8, the public one beside it', () => {
  for (const algorithm of ['ed25519', 'es256', 'rsa-3072'] as const) {
    const { value, publicKey } = generateValue({ kind: 'key_pair', algorithm });
    const spki = { type: 'spki', format: 'pem' } as const;
    expect(createPublicKey(createPrivateKey(value.content.reveal())).export(spki)).toBe(publicKey);
  }
});
