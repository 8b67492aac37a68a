import { TokenRefused } from './token-refused.ts';

/** Longer strings are refused unread. A realm's token with hundreds of roles stays under it. */
export const MAX_TOKEN_CHARS = 16_384;
const MAX_HEADER_CHARS = 1_024;

/** Header members that would let a token choose its own key, or change what is signed: none is ever needed here. */
const refusedMembers = ['crit', 'b64', 'jku', 'x5u', 'x5c', 'jwk', 'zip', 'enc', 'epk', 'p2c', 'p2s'] as const;

export type JwsHeader = { alg: string; typ?: unknown; kid?: unknown; jwk?: unknown };
export type CompactJws = { header: JwsHeader; claims: Record<string, unknown> };

/**
 * Splits and decodes a compact JWS (RFC 7515 section 7.1) without believing any of it. The shape is checked before
 * anything else: three segments of canonical base64url, so that one token has exactly one spelling and a revoked or
 * cached token cannot come back with white space or padding bits in it (jose decodes both).
 * @param embeddedKey lets the member `jwk` pass, for DPoP proofs (RFC 9449 section 4.2)
 * @throws TokenRefused `too_large`, `encrypted`, `malformed`, `header_refused`
 */
export function parseCompactJws(token: string, { embeddedKey = false } = {}): CompactJws {
  if (token.length > MAX_TOKEN_CHARS) throw new TokenRefused('too_large');
  const segments = token.split('.', 6);
  if (segments.length === 5) throw new TokenRefused('encrypted');
  if (segments.length !== 3) throw new TokenRefused('malformed');
  const [protectedHeader, payload, signature] = segments as [string, string, string];
  if (protectedHeader.length > MAX_HEADER_CHARS) throw new TokenRefused('too_large');
  const headerBytes = canonical(protectedHeader);
  const payloadBytes = canonical(payload);
  canonical(signature);
  const header = jsonObject(headerBytes);
  for (const member of refusedMembers) {
    if (Object.hasOwn(header, member) && !(embeddedKey && member === 'jwk')) throw new TokenRefused('header_refused');
  }
  if (typeof header['alg'] !== 'string') throw new TokenRefused('malformed');
  return { header: header as JwsHeader, claims: jsonObject(payloadBytes) };
}

function canonical(segment: string): Buffer {
  const bytes = Buffer.from(segment, 'base64url');
  if (bytes.length === 0 || bytes.toString('base64url') !== segment) throw new TokenRefused('malformed');
  return bytes;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function jsonObject(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch {
    throw new TokenRefused('malformed');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TokenRefused('malformed');
  return value as Record<string, unknown>;
}
