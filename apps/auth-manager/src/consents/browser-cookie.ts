import { createHash, timingSafeEqual } from 'node:crypto';

/** Long enough for a person to log in and read; the consent itself expires too. */
export const COOKIE_SECONDS = 600;

/**
 * The cookie that ties a consent to the browser that opened it (R18). `__Host-` makes browsers insist on https, on this
 * very host and on path `/`; a name per consent lets two of them run in one browser.
 */
export const cookieName = (consentId: string): string => `__Host-consent-${consentId}`;

export const setCookie = (consentId: string, value: string): string =>
  `${cookieName(consentId)}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${COOKIE_SECONDS}`;

export const clearCookie = (consentId: string): string =>
  `${cookieName(consentId)}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0`;

/** The value of a consent's cookie among those of a request; `undefined` when absent or not of our shape. */
export function cookieIn(cookies: ReadonlyMap<string, string>, consentId: string): string | undefined {
  const value = cookies.get(cookieName(consentId));
  return value !== undefined && /^[\w-]{43}$/.test(value) ? value : undefined;
}

/**
 * What the page's own link and button carry, and nobody else's can: SHA-256 of the cookie under a name, base64url. Says
 * nothing about the cookie; another site that sends the browser here has no way to know it (R17, R18).
 */
export const pageToken = (cookie: string): string =>
  createHash('sha256').update(`consent page\n${cookie}`).digest('base64url');

/** The cookie of a browser that was shown the consent's page and answers from it; `undefined` for any other. */
export function shownTo(cookies: ReadonlyMap<string, string>, consentId: string, token: string): string | undefined {
  const cookie = cookieIn(cookies, consentId);
  if (cookie === undefined) return undefined;
  const [expected, given] = [Buffer.from(pageToken(cookie)), Buffer.from(token)];
  return expected.length === given.length && timingSafeEqual(expected, given) ? cookie : undefined;
}
