import { hash } from 'node:crypto';
import { Secret } from '@postern/runtime';
import { compactVerify, type JWTPayload } from 'jose';
import { judgeClaims, type Judged } from './claims.ts';
import { MAX_TOKEN_CHARS, parseCompactJws } from './compact-jws.ts';
import { checkDpopProof } from './dpop-proof.ts';
import { openKeySet, type KeySet } from './key-set.ts';
import type { Presented, Principal } from './principal.ts';
import { kindOf, type TokenKind } from './token-kinds.ts';
import { TokenRefused } from './token-refused.ts';
import type { IssuerEntry } from './trust-table.ts';
import { createVerificationCache } from './verification-cache.ts';
import type { HeldBy, TokenVerifier, TokenVerifierSpec } from './verifier-spec.ts';

/** What the signature and the claims decided; time, audience, binding, proof and revocation are asked at each use (R13). */
type Verified = Judged & {
  kind: TokenKind;
  issuer: string;
  keyId: string;
  keys: KeySet;
  generation: number;
  claims: JWTPayload;
};

/** For `iat` and `nbf` of a machine whose clock is ahead; `exp` gets none. */
const CLOCK_SKEW_MS = 10_000;

/**
 * The resource server's side of tokens (RFC 9068, RFC 8705, RFC 9449). Nothing is fetched before the first token or
 * `ready()`.
 */
export function createTokenVerifier(spec: TokenVerifierSpec): TokenVerifier {
  const { issuers, audience, kinds, profile, fetchJwks, useOnce, revocations } = spec;
  const now = spec.now ?? (() => new Date());
  const longestLifeMs = profile.accessTokenMinutes * 60_000;
  const legacyHeader = profile.allowedTokenTypes.includes('JWT');
  const cache = createVerificationCache<Verified>(spec.cacheSize ?? 20_000);
  const trusted = new Map(issuers.filter((entry) => entry.kinds.some((k) => kinds.includes(k))).map(trust));

  function trust(entry: IssuerEntry) {
    const allowed: readonly string[] = profile.verifyAlgs;
    const algorithms = entry.algorithms.filter((alg) => allowed.includes(alg));
    const { times } = spec;
    const keys = openKeySet({ jwksUri: entry.jwksUri, algorithms, fetchJwks, now, ...(times && { times }) });
    return [entry.issuer, { entry, keys, algorithms, kinds: entry.kinds.filter((k) => kinds.includes(k)) }] as const;
  }

  function held(digest: string): Verified | undefined {
    const verified = cache.get(digest);
    if (verified === undefined || verified.generation === verified.keys.generation()) return verified;
    cache.delete(digest);
    return undefined;
  }

  async function examine(token: string, digest: string): Promise<Verified> {
    const { header, claims } = parseCompactJws(token);
    const issuer = typeof claims['iss'] === 'string' ? trusted.get(claims['iss']) : undefined;
    if (!issuer) throw new TokenRefused('unknown_issuer');
    const kind = kindOf(issuer.kinds, header, claims, legacyHeader);
    if (!kind) throw new TokenRefused('wrong_kind');
    const { alg, kid } = header;
    if (!issuer.algorithms.some((allowed) => allowed === alg)) throw new TokenRefused('algorithm_refused');
    if (typeof kid !== 'string' || kid.length === 0 || kid.length > 256) throw new TokenRefused('unknown_key');
    const key = await issuer.keys.keyFor(kid, alg);
    const generation = issuer.keys.generation();
    await compactVerify(token, key, { algorithms: [alg] }).catch((error: unknown) => {
      throw new TokenRefused('bad_signature', { cause: error });
    });
    const judged = judgeClaims(kind, issuer.entry, claims, audience);
    const expires = Math.min(judged.expires, judged.issuedAt + longestLifeMs);
    const { keys, entry } = issuer;
    const verified = {
      ...judged,
      expires,
      kind,
      issuer: entry.issuer,
      keyId: kid,
      keys,
      generation,
      claims: Object.freeze(claims),
    };
    cache.set(digest, verified);
    return verified;
  }

  function checkTime(verified: Verified) {
    const at = now().getTime();
    if (at >= verified.expires) throw new TokenRefused('expired');
    if (at < verified.notBefore - CLOCK_SKEW_MS) throw new TokenRefused('not_yet_valid');
  }

  /** Whether the entry lets this issuer's tokens be used here. */
  const usable = ({ issuer }: Verified): boolean => trusted.get(issuer)?.entry.audiences?.includes(audience) ?? true;
  const listed = (verified: Verified): boolean => verified.audiences.includes(audience) && usable(verified);

  /** Whether the caller proves the key of `cnf`; `ath` only where the token is the credential. */
  function proves(verified: Verified, token: string, presented: Presented, ath: boolean): boolean | Promise<boolean> {
    const { binding } = verified;
    if (binding.kind === 'none') return false;
    if (binding.kind === 'certificate') return binding.thumbprint === presented.certificateThumbprint;
    if (profile.certificateBoundTokens || !useOnce) return false;
    if (presented.provenKey !== undefined && !ath) return binding.jkt === presented.provenKey;
    if (!presented.dpop) throw new TokenRefused('proof_missing');
    const algorithms: readonly string[] = profile.verifyAlgs;
    const check = { ...presented.dpop, algorithms, useOnce, now, ...(ath && { accessToken: token }) };
    return checkDpopProof(check).then((jkt) => jkt === binding.jkt);
  }

  async function alive(principal: Principal): Promise<Principal> {
    const state = await revocations?.stateOf(principal);
    if (state === 'revoked') throw new TokenRefused('revoked');
    if (state === 'unknown') throw new TokenRefused('revocation_unavailable');
    return principal;
  }

  async function known(token: string): Promise<{ verified: Verified; digest: string }> {
    if (token.length > MAX_TOKEN_CHARS) throw new TokenRefused('too_large');
    const digest = hash('sha256', token, 'base64url');
    const verified = held(digest) ?? (await examine(token, digest));
    checkTime(verified);
    return { verified, digest };
  }

  return {
    async verify(token, presented) {
      const { verified, digest } = await known(token);
      if (!listed(verified)) throw new TokenRefused('wrong_audience');
      if (verified.binding.kind === 'none') {
        if (profile.senderBinding === 'required') throw new TokenRefused('unbound');
      } else {
        const proven = proves(verified, token, presented, true);
        if (!(proven === true || (await proven))) throw new TokenRefused('binding_mismatch');
      }
      const principal = principalOf(verified, digest, token, presented);
      return revocations ? alive(principal) : principal;
    },
    async verifySubject(token, presented) {
      const { verified, digest } = await known(token);
      const heldBy = await holderRule(verified, token, presented);
      return { principal: await alive(principalOf(verified, digest, token, presented)), heldBy };
    },
    async inspect(token) {
      const { verified, digest } = await known(token);
      return alive(principalOf(verified, digest, token, {}));
    },
    async ready() {
      await Promise.all([...trusted.values()].map(({ keys }) => keys.ready()));
    },
    close() {
      trusted.clear();
    },
  };

  async function holderRule(verified: Verified, token: string, presented: Presented): Promise<HeldBy> {
    if (!usable(verified)) throw new TokenRefused('wrong_audience');
    // An ID token is for the client that logged the person in, and for nobody else (OpenID Connect Core, section 2).
    if (verified.kind === 'id-token') {
      const { client } = presented;
      const own = client !== undefined && verified.clientId === client && verified.audiences.includes(client);
      if (!own || verified.person === null) throw new TokenRefused('not_the_holder');
      return 'audience';
    }
    // A minted token names the one service it is for; every other subject names this one.
    if (verified.kind !== 'postern-access' && !listed(verified)) throw new TokenRefused('wrong_audience');
    const { workload } = presented;
    if (workload !== undefined && workload !== audience && verified.audiences.includes(workload)) return 'audience';
    if (verified.binding.kind !== 'none') {
      if (await proves(verified, token, presented, false)) return 'holder';
      throw new TokenRefused('not_the_holder');
    }
    if (profile.senderBinding === 'required') throw new TokenRefused('unbound');
    if (workload !== undefined && spec.bearerSubject?.(verified.clientId, workload)) return 'bearer-rule';
    throw new TokenRefused('not_the_holder');
  }
}

function principalOf(verified: Verified, digest: string, token: string, presented: Presented): Principal {
  const { sessionId } = verified;
  return {
    tenant: verified.tenant,
    kind: verified.kind,
    issuer: verified.issuer,
    person: verified.person,
    clientId: verified.clientId,
    workload: presented.workload ?? null,
    scopes: verified.scopes,
    roles: verified.roles,
    ...(sessionId !== undefined && { sessionId }),
    tokenId: verified.tokenId ?? digest,
    keyId: verified.keyId,
    actors: verified.actors,
    binding: verified.binding,
    expiresAt: new Date(verified.expires),
    claims: verified.claims,
    token: new Secret(token),
  };
}
