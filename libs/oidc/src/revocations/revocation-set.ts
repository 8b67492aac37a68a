import type { Principal } from '../principal.ts';
import { keyOf, type Revocation } from './revocation.ts';

/** As much of a token as it can be revoked by. */
export type RevocableBy = Pick<
  Principal,
  'tenant' | 'issuer' | 'tokenId' | 'keyId' | 'sessionId' | 'person' | 'clientId' | 'actors' | 'claims'
>;

/** The revocations that a replica knows, as one look-up by what a token carries. */
export type RevocationSet = {
  add(entry: Revocation): void;
  /** Whether anything known revokes that token or what it descends from. */
  revokes(principal: RevocableBy): boolean;
  /** Drops what no living token can meet any more. */
  forget(nowSeconds: number): void;
  size(): number;
};

/** Tokens issued before `before` (seconds) are revoked; `until`: when the entry is of no more use. */
type Held = { before: number; until: number };

/** Bounded by the issuers: they keep an entry for the longest life of a token, and limit who may write one. */
export function createRevocationSet(): RevocationSet {
  const held = new Map<string, Held>();

  const meets = (key: string, issuedAt: number) => {
    const entry = held.get(key);
    return entry !== undefined && issuedAt < entry.before;
  };

  return {
    add({ target, until }) {
      const key = keyOf(target);
      const before = 'before' in target ? target.before : Infinity;
      const known = held.get(key);
      held.set(key, { before: Math.max(before, known?.before ?? 0), until: Math.max(until, known?.until ?? 0) });
    },
    revokes({ tenant, issuer, tokenId, keyId, sessionId, person, clientId, actors, claims }) {
      if (held.size === 0) return false;
      const issuedAt = claims.iat ?? 0;
      const origin = claims['subject_iat'];
      // Person, grant and tenant are those of the first token that this one came from: so is their time.
      const begunAt = typeof origin === 'number' ? Math.min(origin, issuedAt) : issuedAt;
      const grant = claims['grant_id'];
      return (
        meets(`token ${issuer} ${tokenId}`, issuedAt) ||
        meets(`key ${issuer} ${keyId}`, issuedAt) ||
        (sessionId !== undefined && meets(`session ${person?.issuer ?? issuer} ${sessionId}`, issuedAt)) ||
        (typeof grant === 'string' && meets(`grant ${grant}`, begunAt)) ||
        (person !== null && meets(`subject ${tenant} ${person.issuer} ${person.sub}`, begunAt)) ||
        meets(`tenant ${tenant}`, begunAt) ||
        meets(`client ${clientId}`, issuedAt) ||
        actors.some((actor) => meets(`client ${actor}`, issuedAt))
      );
    },
    forget(nowSeconds) {
      for (const [key, { until }] of held) if (until <= nowSeconds) held.delete(key);
    },
    size: () => held.size,
  };
}
