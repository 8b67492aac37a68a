import canonicalize from 'canonicalize';

const encoder = new TextEncoder();

/**
 * The bytes that are hashed and signed: the JSON Canonicalization Scheme (RFC 8785) in UTF-8.
 *
 * @throws TypeError where the value has no single such form: a number that is not finite, a string with a lone surrogate
 *   (RFC 8785 section 3.2.2.2), a cycle, or nothing at all.
 */
export function canonicalBytes(value: unknown): Uint8Array {
  let text: string | undefined;
  try {
    text = canonicalize(value);
  } catch (cause) {
    throw new TypeError('This value has no canonical form', { cause });
  }
  if (text === undefined) throw new TypeError('This value has no canonical form');
  return encoder.encode(text);
}
