import { expect, test } from '@jest/globals';
import { cookieIn, pageToken, setCookie, shownTo } from './browser-cookie.ts';
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

test('R17: only the page that this browser was shown can answer', () => {
  const [cookie, other] = [newValue(), newValue()];
  const cookies = new Map([[`__Host-consent-${id}`, cookie]]);
  expect(shownTo(cookies, id, pageToken(cookie))).toBe(cookie);
  expect(shownTo(cookies, id, pageToken(other))).toBeUndefined();
  expect(shownTo(cookies, id, cookie)).toBeUndefined();
  expect(shownTo(new Map(), id, pageToken(cookie))).toBeUndefined();
});
