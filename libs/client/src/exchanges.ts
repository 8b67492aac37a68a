import { type CallService, shaped } from './call-service.ts';
import { type CallAs } from './options.ts';

/** One token that was minted: from what, for whom, by which rule. */
export type MintedToken = {
  /** Its `jti`. */
  id: string;
  parent: { id: string; issuer: string; kind: string; client: string };
  person: { issuer: string; sub: string } | null;
  workload: string;
  actors: string[];
  /** The first that was named; `audiences` has all. */
  audience: string;
  audiences: string[];
  scopes: string[];
  decision: { rule: string; policyVersion: string; heldBy: string };
  createdAt: string;
  expiresAt: string;
};

export type Lineage = { exchange: MintedToken; ancestors: MintedToken[]; descendants: MintedToken[] };

export type Exchanges = {
  /** Where a token came from and what came of it, by its `jti`. Scope `exchanges:read`. */
  lineage(id: string, as: CallAs): Promise<Lineage>;
};

export const createExchanges = (call: CallService): Exchanges => ({
  async lineage(id, as) {
    const path = `/v1/exchanges/${encodeURIComponent(id)}`;
    const answer = await call({ method: 'GET', path, scopes: ['exchanges:read'] }, as);
    return shaped<Lineage>('token-exchange', answer, 'exchange', 'ancestors', 'descendants');
  },
});
