import { expect, test } from '@jest/globals';
import { keptPrefixOf, prefixesOf } from './record-prefixes.ts';

test('the prefixes of a key end in a slash', () => {
  expect(prefixesOf('a/b/c')).toEqual(['a/', 'a/b/']);
  expect(prefixesOf('a/b/')).toEqual(['a/', 'a/b/']);
  expect(prefixesOf('/a')).toEqual(['/']);
  expect(prefixesOf('plain')).toEqual([]);
  expect(prefixesOf('/'.repeat(100))).toHaveLength(8);
});

test('what is looked up is kept for every key that begins so', () => {
  expect(keptPrefixOf('')).toBeNull();
  expect(keptPrefixOf('pla')).toBeNull();
  expect(keptPrefixOf('a/b/c')).toBe('a/b/');
  expect(keptPrefixOf('a/b/')).toBe('a/b/');
  const deep = 'x/'.repeat(20);
  expect(prefixesOf(`${deep}key`)).toContain(keptPrefixOf(deep));
});
