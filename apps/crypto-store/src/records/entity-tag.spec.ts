import { expect, test } from '@jest/globals';
import { entityTag, entityTags, holdConditions, isNotModified } from './entity-tag.ts';

const current = { id: '0198c0de-0000-4000-8000-0123456789ab', version: 7 };
const tag = entityTag(current);
const tags = (text: string) => entityTags.parse(text);
const refused = (conditions: Parameters<typeof holdConditions>[0], at: typeof current | null = current) => {
  try {
    holdConditions(conditions, at);
    return null;
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test('If-Match compares strongly: a weak tag never matches (RFC 9110 section 13.1.1)', () => {
  expect(refused({ ifMatch: tags(tag) })).toBeNull();
  expect(refused({ ifMatch: tags(`"other", ${tag}`) })).toBeNull();
  expect(refused({ ifMatch: tags('*') })).toBeNull();
  expect(refused({ ifMatch: tags(`W/${tag}`) })).toBe('precondition_failed');
  expect(refused({ ifMatch: tags('"other"') })).toBe('precondition_failed');
  expect(refused({ ifMatch: tags('*') }, null)).toBe('precondition_failed');
});

test('If-None-Match compares weakly, and * means that there is nothing (RFC 9110 section 13.1.2)', () => {
  expect(refused({ ifNoneMatch: tags('*') }, null)).toBeNull();
  expect(refused({ ifNoneMatch: tags('"other"') })).toBeNull();
  expect(refused({ ifNoneMatch: tags('*') })).toBe('precondition_failed');
  expect(refused({ ifNoneMatch: tags(`W/${tag}`) })).toBe('precondition_failed');
});

test('a read that finds what the caller has is not modified; If-Match goes first (RFC 9110 section 13.2.2)', () => {
  expect(isNotModified({ ifNoneMatch: tags(tag) }, current)).toBe(true);
  expect(isNotModified({ ifNoneMatch: tags('"other"') }, current)).toBe(false);
  expect(isNotModified({}, current)).toBe(false);
  expect(() => isNotModified({ ifMatch: tags('"other"'), ifNoneMatch: tags(tag) }, current)).toThrow();
});

test('where a record asks for a condition, a change without one is refused', () => {
  expect(() => holdConditions({}, current, true)).toThrow(expect.objectContaining({ code: 'precondition_required' }));
  expect(() => holdConditions({ ifMatch: tags(tag) }, current, true)).not.toThrow();
});

test('what is no list of tags is refused, and so is one too long', () => {
  for (const text of ['', 'plain', '"a" "b"', '"a', 'w/"a"', '*, "a"', Array(21).fill('"a"').join()])
    expect(entityTags.safeParse(text).success).toBe(false);
});
