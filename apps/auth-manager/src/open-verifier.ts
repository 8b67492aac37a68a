import { openIntrospection, openRevocations, ownKeysFirst } from '@postern/issuer';
import { openAgent } from '@postern/mtls';
import { createTokenVerifier, fetchJwksOver, followTrusted } from '@postern/oidc';
import { useOnce } from '@postern/postgres';
import { SERVICE } from './app.ts';
import type { Setting, State } from './open-state.ts';
import { introspectTokens } from './provider/introspect-tokens.ts';
import type { ProviderCalls } from './provider/provider-calls.ts';

/**
 * Whose tokens count: those of the trusted issuers, and its own, which are among them; what was revoked of them, here and
 * elsewhere; and what is said of a token to whoever asks.
 */
export function openVerifier(
  { config, closing, profile, logger, now }: Setting,
  { tls, postgres: { query }, endedTenants, issuer }: State,
  operator: ProviderCalls,
) {
  const { trust } = config;
  const peers = closing.after(openAgent(tls));
  const fetchJwks = ownKeysFirst(issuer, trust, fetchJwksOver(peers));
  const longestLifeSeconds = profile.accessTokenMinutes * 60;
  const sequence = openRevocations({ query, issuer, longestLifeSeconds, now });
  const own = { issuer: issuer.issuer, page: sequence.page };
  const revocations = closing.after(followTrusted({ trust, dispatcher: peers, fetchJwks, own, logger, now }));
  const living = endedTenants.over(revocations);
  const rule = trust.issuers.find(({ issuer: listed }) => listed === config.provider.issuer)?.tenant;
  const introspection = introspectTokens({
    own: openIntrospection({ issuer, kind: 'grant', profile, revocations: living, now }),
    sequence,
    provider: operator,
    tenant: rule && 'fixed' in rule ? rule.fixed : undefined,
    now,
  });
  const verifier = closing.after(
    createTokenVerifier({
      issuers: trust.issuers,
      audience: SERVICE,
      kinds: ['postern-access', ...(profile.senderBinding === 'optional' ? (['provider-access'] as const) : [])],
      profile,
      fetchJwks,
      revocations: living,
      useOnce: (kind, value, expiresAt) => useOnce(query, kind, value, expiresAt),
      now,
    }),
  );
  return { peers, sequence, revocations, introspection, verifier };
}
