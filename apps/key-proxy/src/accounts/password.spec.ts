import { expect, test } from '@jest/globals';
import { Secret } from '@postern/runtime';
import { openPasswords } from './password.ts';

const right = new Secret('correct horse battery staple');
const wrong = new Secret('correct horse battery stable');

test.each([
  { fips: false, begins: 'argon2id$19456,2$' },
  { fips: true, begins: 'pbkdf2-sha256$600000$' },
])('a password verifies against its own hash only, salted anew each time (fips $fips)', async ({ fips, begins }) => {
  const passwords = await openPasswords({ fips });
  const [first, second] = await Promise.all([passwords.hash(right), passwords.hash(right)]);
  expect(first.startsWith(begins)).toBe(true);
  expect(first).not.toBe(second);
  expect(await Promise.all([passwords.verify(right, first), passwords.verify(wrong, first)])).toEqual([true, false]);
});

test('a hash made before FIPS was switched on still verifies after', async () => {
  const before = await openPasswords({ fips: false });
  const after = await openPasswords({ fips: true });
  expect(await after.verify(right, await before.hash(right))).toBe(true);
});

test('an unknown account costs the work of a wrong password', async () => {
  const passwords = await openPasswords({ fips: false });
  const known = await passwords.hash(right);
  const cost = async (hashed: string | null): Promise<number> => {
    const times: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const start = performance.now();
      expect(await passwords.verify(wrong, hashed)).toBe(false);
      times.push(performance.now() - start);
    }
    return Math.min(...times);
  };
  const ratio = (await cost(null)) / (await cost(known));
  expect(ratio).toBeGreaterThan(0.5);
  expect(ratio).toBeLessThan(2);
});
