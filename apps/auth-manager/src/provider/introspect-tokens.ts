import { createHash } from 'node:crypto';
import type { Introspection, RevocationSequence } from '@postern/issuer';
import type { Principal } from '@postern/oidc';
import { type Now, Secret } from '@postern/runtime';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import type { Inspected, ProviderCalls } from './provider-calls.ts';

export type IntrospectTokens = {
  /** Of the tokens minted here. */
  own: Introspection;
  sequence: Pick<RevocationSequence, 'revokes'>;
  /** The operator's provider. Tenants' are not asked: a provider that somebody registered vouches for nobody here (R1). */
  provider: ProviderCalls;
  /** The tenant of that provider's tokens, by the operator's table; undefined where it lists none. */
  tenant: string | undefined;
  now: Now;
};

/** How long an answer of the provider is good. What ends here is seen at once: our own revocations are asked every time. */
export const KEPT_SECONDS = 5;
const MOST_KEPT = 10_000;

type Kept = { living: Promise<Principal | null>; until: number };

/**
 * Whether a token lives: one minted here by its signature, one of the provider's by asking the provider (RFC 7662). Either
 * way our revocations are read after that, so that a logout that was committed a moment ago counts, also for an answer
 * that is still kept.
 */
export function introspectTokens({ own, sequence, provider, tenant, now }: IntrospectTokens): Introspection {
  const kept = new Map<string, Kept>();

  async function ask(token: string): Promise<Principal | null> {
    const inspected = await provider.inspect(new Secret(token), 'access_token');
    // Refresh and ID tokens are nobody's access (R7).
    if (!inspected.active || inspected.type === 'Refresh' || inspected.type === 'Offline') return null;
    const principal = principalOf(provider.issuer, tenant ?? '', token, inspected);
    return principal.expiresAt > now() ? principal : null;
  }
  function living(token: string): Promise<Principal | null> {
    const key = createHash('sha256').update(token).digest('base64url');
    const at = now().getTime();
    const held = kept.get(key);
    if (held && at < held.until) return held.living;
    const one = { living: ask(token), until: at + KEPT_SECONDS * 1_000 };
    one.living.catch(() => kept.delete(key));
    kept.delete(key);
    kept.set(key, one);
    for (const oldest of kept.keys()) {
      if (kept.size <= MOST_KEPT) break;
      kept.delete(oldest);
    }
    return one.living;
  }

  return {
    async living(token) {
      const found = (await own.living(token)) ?? (isOf(provider.issuer, token) ? await living(token) : null);
      return found !== null && !(await sequence.revokes(found)) ? found : null;
    },
  };
}

/** Whether a token says that it is this issuer's: only then is the issuer asked, so that nobody learns others' tokens. */
function isOf(issuer: string, token: string): boolean {
  try {
    const { typ } = decodeProtectedHeader(token);
    return decodeJwt(token).iss === issuer && (typ === 'at+jwt' || typ === 'JWT');
  } catch {
    return false;
  }
}

function principalOf(
  issuer: string,
  tenant: string,
  token: string,
  { claims, clientId = '', sub, sessionId }: Extract<Inspected, { active: true }>,
): Principal {
  const { kid = '' } = decodeProtectedHeader(token);
  const { exp = 0, jti } = claims;
  const cnf = claims['cnf'] as { 'x5t#S256'?: unknown; jkt?: unknown } | undefined;
  const thumbprint = cnf?.['x5t#S256'];
  const jkt = cnf?.jkt;
  return {
    tenant,
    kind: 'provider-access',
    issuer,
    person: sub === undefined ? null : { issuer, sub },
    clientId,
    workload: null,
    scopes: new Set(typeof claims['scope'] === 'string' ? claims['scope'].split(' ').filter(Boolean) : []),
    roles: new Set(),
    ...(sessionId === undefined ? {} : { sessionId }),
    tokenId: jti ?? createHash('sha256').update(token).digest('base64url'),
    keyId: kid,
    actors: [],
    binding:
      typeof thumbprint === 'string'
        ? { kind: 'certificate', thumbprint }
        : typeof jkt === 'string'
          ? { kind: 'dpop', jkt }
          : { kind: 'none' },
    expiresAt: new Date(exp * 1000),
    claims,
    token: new Secret(token),
  };
}
