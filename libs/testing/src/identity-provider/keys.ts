import { createHmac, generateKeyPairSync, randomBytes, timingSafeEqual } from 'node:crypto';

import {
  calculateJwkThumbprint,
  compactVerify,
  CompactSign,
  importJWK,
  type CryptoKey,
  type JWK,
  type JWTPayload,
} from 'jose';

import { type Store } from './store.ts';

type Stored = { signing: JWK; secret: string; cookies: string };

/** The provider's keys, made once and kept in its store. */
export type Keys = {
  /** The signing key as oidc-provider wants it, private. */
  privateJwk: JWK;
  cookieSecret: string;
  /** The public key set, RFC 7517. */
  jwks: { keys: JWK[] };
  sign(payload: JWTPayload, typ: string): Promise<string>;
  /** The payload of a token that this provider signed, whatever its time; undefined for any other string. */
  verify(token: string): Promise<{ typ: string | undefined; payload: JWTPayload } | undefined>;
  /** Refresh tokens are for the provider itself: HS512, as Keycloak's are. */
  signForSelf(payload: JWTPayload): string;
  verifyForSelf(token: string): JWTPayload | undefined;
};

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Opens the provider's keys: one ES256 key pair for tokens, one secret for refresh tokens, one for cookies. */
export async function openKeys(store: Store): Promise<Keys> {
  let stored = store.get<Stored>('keys');
  if (!stored) {
    const signing = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) as JWK;
    stored = { signing, secret: randomBytes(64).toString('base64url'), cookies: randomBytes(32).toString('base64url') };
    store.set('keys', stored);
  }
  const { kty, crv, x, y } = stored.signing as { kty: string; crv: string; x: string; y: string };
  const kid = await calculateJwkThumbprint({ kty, crv, x, y });
  const publicJwk: JWK = { kid, kty, alg: 'ES256', use: 'sig', crv, x, y };
  const privateKey = (await importJWK({ ...stored.signing, alg: 'ES256' })) as CryptoKey;
  const publicKey = (await importJWK(publicJwk)) as CryptoKey;
  const mac = (input: string) => createHmac('sha512', Buffer.from(stored.secret, 'base64url')).update(input).digest();

  return {
    privateJwk: { ...publicJwk, d: (stored.signing as { d: string }).d },
    cookieSecret: stored.cookies,
    jwks: { keys: [publicJwk] },
    sign: (payload, typ) =>
      new CompactSign(Buffer.from(JSON.stringify(payload)))
        .setProtectedHeader({ alg: 'ES256', typ, kid })
        .sign(privateKey),
    verify: async (token) => {
      try {
        const { payload, protectedHeader } = await compactVerify(token, publicKey, { algorithms: ['ES256'] });
        return { typ: protectedHeader.typ, payload: JSON.parse(Buffer.from(payload).toString()) as JWTPayload };
      } catch {
        return undefined;
      }
    },
    signForSelf: (payload) => {
      const input = `${encode({ alg: 'HS512', typ: 'JWT', kid: 'refresh' })}.${encode(payload)}`;
      return `${input}.${mac(input).toString('base64url')}`;
    },
    verifyForSelf: (token) => {
      const [header, payload, signature, ...rest] = token.split('.');
      if (!header || !payload || !signature || rest.length > 0) return undefined;
      const given = Buffer.from(signature, 'base64url');
      const wanted = mac(`${header}.${payload}`);
      if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined;
      return JSON.parse(Buffer.from(payload, 'base64url').toString()) as JWTPayload;
    },
  };
}
