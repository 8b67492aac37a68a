import type { JWTPayload } from 'jose';

/** A request whose client and subject token were checked. */
export type LocalRequest = {
  /** The OAuth client that asks. */
  client: string;
  /** Of the subject token. */
  subject: JWTPayload;
  /** Whether the subject is a grant's token. */
  isGrant: boolean;
  /** Each once; none: whose the scopes are. */
  audiences: readonly string[];
  /** Each once, sorted. */
  scopes: readonly string[];
  /** Whether somebody approved exactly this. */
  approved: boolean;
};

export type LocalVerdict =
  | { outcome: 'given'; claims: JWTPayload; lifetimeSeconds: number }
  | { outcome: 'pending' }
  | {
      outcome: 'refused';
      /** What decided; in policy mode as `postern policy check` names it. */
      rule: string;
      status: number;
      error: string;
      description: string;
      /** Further members of the answer. */
      more?: object;
    };

/** What the local Postern decides by: a table of scopes, or a policy document. */
export type LocalRules = {
  /** Those who may ask. */
  clients: readonly string[];
  /** What a subject token has unless it is said otherwise. */
  usual: { client: string; audience: string; tenant?: string };
  decide(request: LocalRequest): LocalVerdict;
};

export const refused = (rule: string, status: number, error: string, description: string): LocalVerdict => ({
  outcome: 'refused',
  rule,
  status,
  error,
  description,
});
