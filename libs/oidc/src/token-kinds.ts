/**
 * The one table of token kinds (R7). A token is put into a kind by its issuer's entry and its `typ` header before any
 * other claim is looked at; a kind that a verifier does not list is refused whatever its claims say.
 */
export const tokenKinds = {
  /** Access token of a realm: identity of a person (U) or of a workload (W). RFC 9068 header. */
  'provider-access': { typ: 'at+jwt', mintedByPostern: false },
  /** ID token of a realm, with the claim `typ` = `ID`; only ever a subject, of the client that its `aud` names. */
  'id-token': { typ: 'jwt', mintedByPostern: false },
  /** Access token minted by a Postern issuer for one audience (RFC 9068). */
  'postern-access': { typ: 'at+jwt', mintedByPostern: true },
  /** What auth-manager gives a job for a stored grant; good only at token-exchange and auth-manager's internal route. */
  grant: { typ: 'grant+jwt', mintedByPostern: true },
} as const;

export type TokenKind = keyof typeof tokenKinds;

export const tokenKindNames = Object.keys(tokenKinds) as TokenKind[];

/** `typ` without the optional `application/` prefix, lower case (RFC 7515 section 4.1.9); `null` when it is no string. */
export function plainTyp(typ: unknown): string | null {
  if (typeof typ !== 'string') return null;
  return typ.toLowerCase().replace(/^application\//, '');
}

/**
 * The kind of a token of an issuer that may mint `allowed`, or `null`. With `legacyHeader` (the low profile only) a
 * provider's access token may carry `typ: JWT` when its claim `typ` is `Bearer`, as a realm without RFC 9068 headers
 * sends it; an ID token or a refresh token of the same realm never has that claim.
 */
export function kindOf(
  allowed: readonly TokenKind[],
  header: { typ?: unknown },
  claims: { typ?: unknown },
  legacyHeader: boolean,
): TokenKind | null {
  const typ = plainTyp(header.typ);
  const exact = allowed.find((kind) => tokenKinds[kind].typ === typ && (kind !== 'id-token' || claims.typ === 'ID'));
  if (exact) return exact;
  const legacy = legacyHeader && typ === 'jwt' && claims.typ === 'Bearer' && allowed.includes('provider-access');
  return legacy ? 'provider-access' : null;
}
