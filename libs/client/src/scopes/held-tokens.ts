/** A token that is held, and what it is good for. */
export type HeldToken = {
  /** Resolved: what a caller gets, without a new promise each time. */
  promise: Promise<string>;
  subject: string;
  binding: string;
  /** Milliseconds since 1970 from which it is renewed. */
  renewAt: number;
};

export type HeldTokens = {
  /** The token of an audience and a scope set as it was asked for, if it still counts. */
  find(audience: string, scopes: string, subject: string, binding: string, nowMs: number): HeldToken | undefined;
  hold(audience: string, scopes: string, token: HeldToken): void;
  forget(audience: string, scopes: string): void;
};

/** Enough for a gateway; the oldest go first. */
const MOST = 10_000;

/** Tokens by audience and scope set, as two look-ups of strings that the caller has anyway. */
export function createHeldTokens(): HeldTokens {
  const byAudience = new Map<string, Map<string, HeldToken>>();
  let size = 0;
  return {
    find(audience, scopes, subject, binding, nowMs) {
      const held = byAudience.get(audience)?.get(scopes);
      return held !== undefined && held.renewAt > nowMs && held.subject === subject && held.binding === binding
        ? held
        : undefined;
    },
    hold(audience, scopes, token) {
      let own = byAudience.get(audience);
      if (own === undefined) byAudience.set(audience, (own = new Map()));
      if (!own.has(scopes)) size += 1;
      own.set(scopes, token);
      if (size <= MOST) return;
      const [oldest, first] = byAudience.entries().next().value ?? [];
      const name = first?.keys().next().value;
      if (oldest === undefined || first === undefined || name === undefined) return;
      first.delete(name);
      size -= 1;
      if (first.size === 0) byAudience.delete(oldest);
    },
    forget(audience, scopes) {
      if (byAudience.get(audience)?.delete(scopes)) size -= 1;
    },
  };
}
