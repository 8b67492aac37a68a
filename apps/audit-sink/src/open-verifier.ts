import { openAgent } from '@postern/mtls';
import { createTokenVerifier, fetchJwksOver, followTrusted } from '@postern/oidc';
import { useOnce } from '@postern/postgres';
import { SERVICE } from './app.ts';
import { type Setting, type State } from './open-state.ts';

/** Who may call: tokens of the trusted issuers and what was revoked of them, over connections with the service's certificate. */
export function openVerifier(
  { config: { trust }, closing, profile, logger, now }: Setting,
  { tls, postgres: { query }, endedTenants }: State,
) {
  const peers = closing.after(openAgent(tls));
  const fetchJwks = fetchJwksOver(peers);
  const revocations = closing.after(followTrusted({ trust, dispatcher: peers, fetchJwks, logger, now }));
  const verifier = closing.after(
    createTokenVerifier({
      issuers: trust.issuers,
      audience: SERVICE,
      kinds: ['postern-access', ...(profile.senderBinding === 'optional' ? (['provider-access'] as const) : [])],
      profile,
      fetchJwks,
      revocations: endedTenants.over(revocations),
      useOnce: (kind, value, expiresAt) => useOnce(query, kind, value, expiresAt),
      now,
    }),
  );
  return { peers, revocations, verifier };
}
