import { createHash } from 'node:crypto';

export type ExchangedToken = {
  accessToken: string;
  /** RFC 8693 section 2.2.1: what kind of token it is, as a URI. */
  issuedTokenType: string;
  /** What was granted, which may be less than what was asked. */
  scopes: string[];
  expiresAt: Date;
};

export type TokenKey = { subjectToken: string; audience: string; scopes: readonly string[]; thumbprint: string };

export type TokenCache = {
  /** The held token, or the one that `obtain` brings; callers who ask at the same time share one `obtain`. */
  get(key: TokenKey, obtain: () => Promise<ExchangedToken>): Promise<ExchangedToken>;
  forget(key: TokenKey): void;
};

/** Enough for a busy proxy; the least recently used go first. */
const MOST_TOKENS = 10_000;

/**
 * Exchanged tokens by (subject token, audience, scope set, certificate). The subject token itself is not kept, only its
 * SHA-256. A token counts as held until `renewBeforeSeconds` before it expires.
 */
export function createTokenCache({
  renewBeforeSeconds,
  now,
}: {
  renewBeforeSeconds: number;
  now: () => Date;
}): TokenCache {
  const held = new Map<string, ExchangedToken>();
  const underWay = new Map<string, Promise<ExchangedToken>>();

  async function obtainOnce(name: string, obtain: () => Promise<ExchangedToken>): Promise<ExchangedToken> {
    try {
      const token = await obtain();
      held.set(name, token);
      const oldest = held.size > MOST_TOKENS ? held.keys().next().value : undefined;
      if (oldest !== undefined) held.delete(oldest);
      return token;
    } finally {
      underWay.delete(name);
    }
  }

  return {
    async get(key, obtain) {
      const name = nameOf(key);
      const found = held.get(name);
      if (found) {
        held.delete(name);
        if (found.expiresAt.getTime() - now().getTime() > renewBeforeSeconds * 1000) {
          held.set(name, found);
          return found;
        }
      }
      const waiting = underWay.get(name) ?? obtainOnce(name, obtain);
      underWay.set(name, waiting);
      return waiting;
    },
    forget: (key) => void held.delete(nameOf(key)),
  };
}

function nameOf({ subjectToken, audience, scopes, thumbprint }: TokenKey): string {
  const subject = createHash('sha256').update(subjectToken).digest('base64url');
  return [subject, audience, thumbprint, ...[...new Set(scopes)].sort()].join(' ');
}
