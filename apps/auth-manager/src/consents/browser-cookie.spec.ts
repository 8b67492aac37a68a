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

test('R18: only a well-formed cookie of this very consent is read', () => {
  const value = newValue();
  const name = `__Host-consent-${id}`;
  expect(cookieIn(new Map([[name, value]]), id)).toBe(value);
  expect(cookieIn(new Map([[name, value]]), `${id.slice(0, -1)}2`)).toBeUndefined();
  expect(cookieIn(new Map([[name, `${value}x`]]), id)).toBeUndefined();
  expect(cookieIn(new Map(), id)).toBeUndefined();
});
