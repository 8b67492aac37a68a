import { expect, test } from '@jest/globals';
import { personName } from './person-name.ts';

test('a name is what can be read as one; anything else is none', () => {
  for (const name of ['alice', 'alice.b@acme.example', 'Žofie', '李雷', 'a+b_c-1']) {
    expect(personName({ preferred_username: name })).toBe(name);
  }
  const none = ['', 'alice (approved)', 'a\u202eb', 'a\u200bb', 'a'.repeat(129), '<b>', 7, ['alice'], null, undefined];
  for (const name of none) expect(personName({ preferred_username: name })).toBeNull();
});
