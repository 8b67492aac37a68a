import { expect, test } from '@jest/globals';
import { cookieIn, setCookie } from './browser-cookie.ts';
import { newValue } from './single-use-value.ts';

const id = '019a0000-0000-7000-8000-000000000001';

test('R18: the cookie has the __Host- prefix and what browsers demand for it', () => {
  const cookie = setCookie(id, 'v');
  expect(cookie).toMatch(/^__Host-consent-/);
  for (const part of ['Path=/', 'Secure', 'HttpOnly', 'SameSite=Lax']) expect(cookie).toContain(part);
  expect(cookie).not.toContain('Domain');
});

test('R18: only one well-formed cookie of this consent is read', () => {
  const value = newValue();
  const name = `__Host-consent-${id}`;
  expect(cookieIn(`a=b; ${name}=${value}; c=d`, id)).toBe(value);
  expect(cookieIn(`${name}=${value}; ${name}=${newValue()}`, id)).toBeUndefined();
  expect(cookieIn(`x${name}=${value}`, id)).toBeUndefined();
  expect(cookieIn(`${name}=short`, id)).toBeUndefined();
  expect(cookieIn(undefined, id)).toBeUndefined();
});
