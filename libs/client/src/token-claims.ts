export type TokenHints = { boundTo?: string; expiresAt?: Date };

/**
 * Reads which certificate a token is bound to (`cnf.x5t#S256`, RFC 8705 section 3.1, base64url) and when it expires,
 * without verifying anything: this chooses a connection and a cache time, it never decides who is trusted.
 */
export function tokenHints(token: string): TokenHints {
  const payload = token.split('.')[1];
  if (payload === undefined) return {};
  try {
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as {
      exp?: unknown;
      cnf?: Record<string, unknown>;
    };
    const boundTo = claims.cnf?.['x5t#S256'];
    return {
      ...(typeof boundTo === 'string' ? { boundTo } : {}),
      ...(typeof claims.exp === 'number' ? { expiresAt: new Date(claims.exp * 1000) } : {}),
    };
  } catch {
    return {};
  }
}
