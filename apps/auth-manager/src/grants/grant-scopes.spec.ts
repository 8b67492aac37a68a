import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { grantScopes } from './grant-scopes.ts';

const scopes = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'));

test('R11: a grant token never carries a scope outside handle, consent or what was asked', () => {
  fc.assert(
    fc.property(scopes, scopes, fc.option(scopes, { nil: undefined }), (handle, consent, asked) => {
      const got = grantScopes({ handle, consent, asked });
      expect(new Set(got).size).toBe(got.length);
      for (const scope of got) {
        expect(handle).toContain(scope);
        expect(consent).toContain(scope);
        if (asked) expect(asked).toContain(scope);
      }
      const expected = handle.filter((scope) => consent.includes(scope) && (!asked || asked.includes(scope)));
      expect(got).toEqual([...new Set(expected)].sort());
    }),
  );
});
