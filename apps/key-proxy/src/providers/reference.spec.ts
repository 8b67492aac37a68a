import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { limits } from './capabilities.ts';
import { providerKinds } from './provider-kind.ts';
import { namedBy, referenceOf } from './reference.ts';

/** What each cloud's own pages allow as a name. */
const allowed = {
  'crypto-store': /^[\x20-\x7e]{1,512}$/,
  // CreateSecret, `Name`: "ASCII letters, numbers, and the following characters: /_+=.@-", and no hyphen with six characters at the end.
  aws: /^[A-Za-z0-9/_+=.@-]{1,512}$/,
  azure: /^[0-9a-zA-Z-]{1,127}$/,
  gcp: /^[A-Za-z0-9_-]{1,255}$/,
  openbao: /^[A-Za-z0-9/=._-]{1,512}$/,
};
const names = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }).filter((name) => name.isWellFormed());

test.each(providerKinds)('names are mapped to the rules of %s and back, and no two to one', (kind) => {
  const property = fc.property(fc.uuid(), names, names, (id, name, other) => {
    const tried = [name, other].map((one) => {
      try {
        return referenceOf(kind, { id, name: one });
      } catch (error) {
        expect(error).toMatchObject({ code: 'name_too_long' });
        return null;
      }
    });
    const [reference, second] = tried;
    if (reference) {
      expect(reference).toMatch(allowed[kind]);
      expect(namedBy(kind, reference)).toEqual({ id, name });
      // Where the provider does not tell cases apart, nor may two names differ by case only.
      if (second && name !== other)
        expect(second.toLowerCase() === reference.toLowerCase() && kind === 'azure').toBe(false);
      if (second && name !== other) expect(second).not.toBe(reference);
    }
  });
  fc.assert(property, { numRuns: 200 });
});

test('a name that does not fit is refused with how long it is, before the provider is asked', () => {
  const id = '0b9d4f6e-4b51-4c34-9a43-1f1f7d0a7a11';
  for (const kind of providerKinds) {
    const most = limits[kind].referenceCharacters;
    expect(() => referenceOf(kind, { id, name: 'a'.repeat(most) })).toThrow('name_too_long');
  }
});

test.each(['secret/x', 'postern/', 'postern-0b9d4f6e4b514c349a431f1f7d0a7a11-', 'other', 'postern-ZZ'])(
  '%s is no reference of ours',
  (reference) => {
    for (const kind of providerKinds) expect(namedBy(kind, reference)).toBeNull();
  },
);
