import { expect, test } from '@jest/globals';
import { readUsers } from './users.ts';

test('a name that stands twice is named, in whatever case, also far down a long list', () => {
  const users = Array.from({ length: 30_000 }, (_, at) => ({ username: `user${at}` }));
  expect(readUsers(JSON.stringify(users))).toHaveLength(30_000);
  const twice = [...users, { username: 'USER7' }];
  expect(() => readUsers(JSON.stringify(twice))).toThrow('user 30000.username: stands twice');
});
