import { randomUUID } from 'node:crypto';
import type { JWTPayload } from 'jose';

/** The kinds of R7 that services take in their Authorization header or as a subject. */
export type TokenKind = 'provider-access' | 'postern-access' | 'grant';

export const TYP: Record<TokenKind, string> = {
  'provider-access': 'at+jwt',
  'postern-access': 'at+jwt',
  grant: 'grant+jwt',
};

/** What a token of a spec says. Only `audience` has no default: alice of tenant acme, through the job, for 5 minutes. */
export type MintOptions = {
  kind?: TokenKind;
  audience: string;
  sub?: string;
  scopes?: readonly string[];
  /** The audience's own roles (R3). */
  roles?: readonly string[];
  tenant?: string;
  /** Who first named the person (R3); null where a workload acts for itself. Default the realm of the example. */
  subjectIssuer?: string | null;
  /** The OAuth client the token was issued to. */
  clientId?: string;
  /** The newest actor first (RFC 8693 4.1). */
  actors?: readonly string[];
  sessionId?: string;
  grantId?: string;
  /** Thumbprint of the client certificate (`cnf` `x5t#S256`). */
  boundTo?: string;
  /** Thumbprint of the key that signs DPoP proofs (`cnf` `jkt`). */
  boundToKey?: string;
  /** Negative: expired that long ago. */
  lifetimeSeconds?: number;
  /** The header, where a spec wants a wrong one. */
  typ?: string;
  /** Claims that replace ours; undefined takes one away. */
  claims?: Record<string, unknown>;
};

const REALM = 'https://127.0.0.1/realms/postern';
const MINUTE_SECONDS = 60;

/** The claims of a token of that kind, as its issuer would write them. */
export function claimsOf(options: MintOptions & { kind: TokenKind; tenant: string }, issuer: string): JWTPayload {
  const {
    kind,
    audience,
    sub = 'alice',
    scopes = [],
    clientId = 'job',
    lifetimeSeconds = 5 * MINUTE_SECONDS,
  } = options;
  const issuedAt = Math.floor(Date.now() / 1000) + Math.min(0, lifetimeSeconds) - (lifetimeSeconds < 0 ? 1 : 0);
  const common = {
    iss: issuer,
    sub,
    aud: audience,
    iat: issuedAt,
    exp: lifetimeSeconds < 0 ? issuedAt + 1 : issuedAt + lifetimeSeconds,
    jti: randomUUID(),
    client_id: clientId,
    scope: scopes.join(' '),
    sid: options.sessionId,
    cnf: confirmationOf(options),
  };
  const specific = kind === 'provider-access' ? realmClaims(options, clientId) : posternClaims(options);
  // JSON drops what is undefined.
  return JSON.parse(JSON.stringify({ ...common, ...specific, ...options.claims })) as JWTPayload;
}

function realmClaims({ audience, roles = [] }: MintOptions, clientId: string) {
  return { azp: clientId, resource_access: { [audience]: { roles } } };
}

function posternClaims({ kind, tenant, subjectIssuer = REALM, roles, actors = [], grantId }: MintOptions) {
  return {
    tenant,
    subject_issuer: subjectIssuer ?? undefined,
    roles,
    act: actors.toReversed().reduce<object | undefined>((act, sub) => ({ sub, act }), undefined),
    grant_id: kind === 'grant' ? (grantId ?? randomUUID()) : undefined,
  };
}

function confirmationOf({ boundTo, boundToKey }: MintOptions): object | undefined {
  if (boundTo === undefined && boundToKey === undefined) return undefined;
  return { 'x5t#S256': boundTo, jkt: boundToKey };
}
