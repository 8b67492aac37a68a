import type { JWTPayload } from 'jose';

/**
 * What a realm calls a person (`preferred_username`, OpenID Connect Core section 5.1), to be shown to people; nothing is decided
 * by it. `null` for none, and for what could pass for more than a name: spaces, marks, signs that turn the text around.
 */
export function personName({ preferred_username: name }: JWTPayload): string | null {
  return typeof name === 'string' && /^[\p{L}\p{N}._@+-]{1,128}$/u.test(name) ? name : null;
}
