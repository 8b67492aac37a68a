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
