import { openIntrospection, openRevocations, ownKeysFirst } from '@postern/issuer';
import { openAgent } from '@postern/mtls';
import { createTokenVerifier, fetchJwksOver, followTrusted, type UseOnce } from '@postern/oidc';
import { useOnce } from '@postern/postgres';
import { SERVICE } from './app.ts';
import type { Setting, State } from './open-state.ts';

/**
 * Whose tokens are taken: `subjects` may be exchanged; the routes of this service take by `verifier` only what it minted for itself.
 * With them what was revoked, here and at the trusted issuers, over connections with the service's certificate.
 */
export function openVerifiers(
  { config: { trust }, closing, profile, logger, now }: Setting,
  { tls, postgres: { query }, endedTenants, issuer, policies }: State,
) {
  const once: UseOnce = (kind, value, expiresAt) => useOnce(query, kind, value, expiresAt);
  const peers = closing.after(openAgent(tls));
  const fetchJwks = ownKeysFirst(issuer, trust, fetchJwksOver(peers));
  const sequence = openRevocations({ query, issuer, longestLifeSeconds: profile.accessTokenMinutes * 60, now });
  const own = { issuer: issuer.issuer, page: sequence.page };
  const revocations = closing.after(followTrusted({ trust, dispatcher: peers, fetchJwks, own, logger, now }));
  const living = endedTenants.over(revocations);
  const introspection = openIntrospection({ issuer, kind: 'postern-access', profile, revocations: living, now });
  const common = {
    issuers: trust.issuers,
    audience: SERVICE,
    profile,
    fetchJwks,
    useOnce: once,
    revocations: living,
    now,
  };
  const subjects = closing.after(
    createTokenVerifier({
      ...common,
      kinds: ['provider-access', 'id-token', 'grant', 'postern-access'],
      bearerSubject: (azp, workload) =>
        policies
          .held()
          .document.workloads.find(({ name }) => name === workload)
          ?.bearerSubjects.includes(azp) === true,
    }),
  );
  const verifier = closing.after(
    createTokenVerifier({
      ...common,
      kinds: ['postern-access', ...(profile.senderBinding === 'optional' ? (['provider-access'] as const) : [])],
    }),
  );
  return { peers, sequence, revocations, living, introspection, subjects, verifier, useOnce: once };
}
