import { createHash, createPrivateKey, randomUUID, type KeyObject } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { PosternError } from '../errors.ts';

/** A key whose proofs go with each request (RFC 9449). */
export type DpopKey = { proof(method: string, url: URL, at: Date, token?: string): Promise<string> };

/** This client's own key for `private_key_jwt` (RFC 7523). */
export type ClientKey = { clientId: string; assertion(audience: string, at: Date): Promise<string> };

const ASSERTION_SECONDS = 60;
const seconds = (at: Date) => Math.floor(at.getTime() / 1000);

/** A new P-256 key pair, or the one given; its private half stays in this process. */
export async function createDpopKey(pair?: { privateKey: CryptoKey; publicKey: CryptoKey }): Promise<DpopKey> {
  const { privateKey, publicKey } = pair ?? (await generateKeyPair('ES256'));
  const { kty, crv, x, y } = (await exportJWK(publicKey)) as { kty: 'EC'; crv: string; x: string; y: string };
  return {
    proof: (method, url, at, token) =>
      new SignJWT({
        htm: method.toUpperCase(),
        htu: `${url.origin}${url.pathname}`,
        ...(token !== undefined && { ath: createHash('sha256').update(token).digest('base64url') }),
      })
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: { kty, crv, x, y } })
        .setJti(randomUUID())
        .setIssuedAt(seconds(at))
        .sign(privateKey),
  };
}

/**
 * Takes a private P-256 key: a JWK (with its `kid`, if it has one) or PKCS #8 in PEM.
 * @throws PosternError `missing_configuration` where it is neither
 */
export function clientKey(clientId: string, text: string): ClientKey {
  const { key, kid } = parsed(text);
  return {
    clientId,
    assertion: (audience, at) =>
      new SignJWT({})
        .setProtectedHeader({ alg: 'ES256', ...(kid !== undefined && { kid }) })
        .setIssuer(clientId)
        .setSubject(clientId)
        .setAudience(audience)
        .setJti(randomUUID())
        .setIssuedAt(seconds(at))
        .setExpirationTime(seconds(at) + ASSERTION_SECONDS)
        .sign(key),
  };
}

function parsed(text: string): { key: KeyObject; kid?: string | undefined } {
  try {
    if (text.includes('-----BEGIN')) return { key: createPrivateKey(text) };
    const jwk = JSON.parse(text) as JWK;
    return { key: createPrivateKey({ key: jwk as never, format: 'jwk' }), kid: jwk.kid };
  } catch {
    throw new PosternError('client', 'missing_configuration', { detail: 'the client key is no private P-256 key' });
  }
}
