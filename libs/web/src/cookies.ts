import { hash, randomBytes } from 'node:crypto';
import { z } from 'zod';

const SESSION = '__Host-session';
const SIGN_IN = '__Host-sign-in';
/** Long enough for a person to log in. */
export const SIGN_IN_SECONDS = 600;

// `__Host-` makes browsers insist on https, this very host and path `/`; Lax lets the provider's redirect bring them back.
const ATTRIBUTES = 'Path=/; Secure; HttpOnly; SameSite=Lax';

type Cookies = ReadonlyMap<string, string>;

/** 256 random bits, base64url: too many to guess, so a plain SHA-256 of it gives nothing away. */
const VALUE = /^[\w-]{43}$/;
export const newSessionValue = (): string => randomBytes(32).toString('base64url');
/** What is stored in place of a session's value. */
export const digestOf = (value: string): Buffer => hash('sha256', value, 'buffer');

export const sessionCookie = (value: string): string => `${SESSION}=${value}; ${ATTRIBUTES}`;
export const noSessionCookie = `${SESSION}=; ${ATTRIBUTES}; Max-Age=0`;
export function sessionValueIn(cookies: Cookies): string | undefined {
  const value = cookies.get(SESSION);
  return value !== undefined && VALUE.test(value) ? value : undefined;
}

/** The token in every form of a session: it follows from the cookie's value, which no page and no other site can read. */
export const csrfTokenOf = (value: string): string => hash('sha256', `csrf ${value}`, 'base64url');

const random = z.string().regex(/^[\w-]{43,128}$/);
const signIn = z.tuple([random, random, random, z.string().max(256)]);

/** A sign-in that has begun in this browser: what its callback is checked with, and the path to go on to. */
export type BegunSignIn = { state: string; nonce: string; verifier: string; onward: string };

/**
 * A sign-in is kept by its own browser until the callback, so that whoever opens the page writes nothing here. The verifier of
 * PKCE is of no use without this client's own authentication.
 */
export function signInCookie({ state, nonce, verifier, onward }: BegunSignIn): string {
  const value = Buffer.from(JSON.stringify([state, nonce, verifier, onward])).toString('base64url');
  return `${SIGN_IN}=${value}; ${ATTRIBUTES}; Max-Age=${SIGN_IN_SECONDS}`;
}
export const noSignInCookie = `${SIGN_IN}=; ${ATTRIBUTES}; Max-Age=0`;

export function signInIn(cookies: Cookies): BegunSignIn | undefined {
  try {
    const text = Buffer.from(cookies.get(SIGN_IN) ?? '', 'base64url').toString('utf8');
    const [state, nonce, verifier, onward] = signIn.parse(JSON.parse(text));
    return { state, nonce, verifier, onward };
  } catch {
    return undefined;
  }
}
