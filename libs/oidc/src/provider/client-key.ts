import { readDocument } from '@postern/runtime';
import type { JWK } from 'jose';
import { z } from 'zod';

const coordinate = z.string().regex(/^[\w-]{43}$/);

/** A private P-256 key as a JWK (RFC 7517, RFC 7518 6.2). */
const privateP256 = z.looseObject({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: coordinate,
  y: coordinate,
  d: coordinate,
  kid: z.string().min(1).max(256).optional(),
});

/**
 * The key of `private_key_jwt` from an operator's file. @param setting what names the file
 * @throws ConfigurationError naming the setting, never a value.
 */
export function readClientKey(setting: string, path: string): JWK {
  const { kty, crv, x, y, d, kid } = readDocument(setting, path, privateP256);
  return { kty, crv, x, y, d, ...(kid === undefined ? {} : { kid }) };
}
