import { expect, test } from '@jest/globals';

import { developmentPassword } from '../development-realm.ts';
import { type Subject } from './subject.ts';
import { callback } from './world.ts';

/** Account lockout (AC-7). Last in the contract: the account stays locked. */
export function lockoutCases(subject: () => Subject): void {
  test('after as many failures as the profile allows the right password is refused in the same words', async () => {
    const app = await subject().party('browser');
    const attempt = async (password: string) => {
      const { url } = await app.authorization({ par: false });
      const person = { username: 'admin-ada', password, redirectUri: callback };
      return subject()
        .browser()
        .login(url, person)
        .then(() => 'logged in')
        .catch((error: Error) => error.message);
    };
    expect(await attempt(developmentPassword('admin-ada'))).toBe('logged in');
    for (let failures = 0; failures < 3; failures += 1) {
      expect(await attempt('wrong')).toBe('Invalid username or password.');
    }
    expect(await attempt(developmentPassword('admin-ada'))).toBe('Invalid username or password.');
  });
}
