import { expect, test } from '@jest/globals';
import { csrfTokenOf, newSessionValue, sessionCookie, sessionValueIn, signInCookie, signInIn } from './cookies.ts';

const valueOf = (cookie: string) => cookie.slice(cookie.indexOf('=') + 1, cookie.indexOf(';'));
const begun = { state: 's'.repeat(43), nonce: 'n'.repeat(43), verifier: 'v'.repeat(43), onward: '/approvals/1' };

test('R17: cookies are of this host alone, over https alone, and no script reads them', () => {
  for (const cookie of [sessionCookie(newSessionValue()), signInCookie(begun)]) {
    expect(cookie).toMatch(/^__Host-[\w-]+=[\w-]+; Path=\/; Secure; HttpOnly; SameSite=Lax(; Max-Age=600)?$/);
  }
});

test('a sign-in is found again in the cookie of its browser, and nothing else is taken for one', () => {
  expect(signInIn(new Map([['__Host-sign-in', valueOf(signInCookie(begun))]]))).toEqual(begun);
  const forged = Buffer.from(JSON.stringify(['short', 'n'.repeat(43), 'v'.repeat(43), '/'])).toString('base64url');
  for (const value of ['', '%', forged, Buffer.from('{}').toString('base64url')]) {
    expect(signInIn(new Map([['__Host-sign-in', value]]))).toBeUndefined();
  }
  expect(sessionValueIn(new Map([['__Host-session', 'x'.repeat(44)]]))).toBeUndefined();
});

test('the token of forms follows from the session, and not the session from it', () => {
  const [one, two] = [newSessionValue(), newSessionValue()];
  expect(csrfTokenOf(one)).toBe(csrfTokenOf(one));
  expect(csrfTokenOf(one)).not.toBe(csrfTokenOf(two));
  expect(csrfTokenOf(one)).not.toContain(one);
});
