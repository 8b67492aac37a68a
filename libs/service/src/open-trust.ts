import { openRevocations, ownKeysFirst, type Issuer } from '@postern/issuer';
import { createTokenVerifier, followTrusted, type UseOnce } from '@postern/oidc';
import { useOnce as useOnceIn } from '@postern/postgres';
import { openAgents, type Agents } from './open-agents.ts';
import { type ServiceState } from './open-state.ts';
import { type Setting } from './setting.ts';

type Own = Pick<NonNullable<Parameters<typeof followTrusted>[0]['own']>, 'issuer' | 'page'>;

/**
 * Who may call a service that issues nothing: tokens of the trusted issuers and what was revoked of them, over connections
 * (`peers`) with the service's certificate.
 */
export function openTrust(setting: Setting, state: ServiceState) {
  const agents = openAgents(setting, state);
  return { ...agents, ...takeTokens(setting, state, agents) };
}

/** The same for a service that is one of the trusted issuers itself: its keys and the sequence of what it revoked are at hand. */
export function openOwnTrust(setting: Setting, state: ServiceState, issuer: Issuer) {
  const { config, profile, now } = setting;
  const { query } = state.postgres;
  const agents = openAgents(setting, state);
  const fetchJwks = ownKeysFirst(issuer, config.trust, agents.fetchJwks);
  const sequence = openRevocations({ query, issuer, profile, now });
  const own = { issuer: issuer.issuer, page: sequence.page };
  return { ...agents, sequence, ...takeTokens(setting, state, { ...agents, fetchJwks, own }) };
}

type Ways = Agents & { own?: Own };

function takeTokens(
  { service, config: { trust }, closing, profile, logger, now }: Setting,
  { postgres: { query }, endedTenants }: ServiceState,
  { peers, agentOf, fetchJwks, own }: Ways,
) {
  const followed = { trust, dispatcher: peers, agentOf, fetchJwks, ...(own && { own }), logger, now };
  const revocations = closing.after(followTrusted(followed));
  /** Tokens that were not revoked, of tenants that have not ended. */
  const living = endedTenants.over(revocations);
  const useOnce: UseOnce = (kind, value, expiresAt) => useOnceIn(query, kind, value, expiresAt);
  /** What each verifier of the service goes by; of which kind the tokens are is its own. */
  const rules = { issuers: trust.issuers, audience: service, profile, fetchJwks, revocations: living, useOnce, now };
  const ofProvider = profile.senderBinding === 'optional' ? (['provider-access'] as const) : [];
  const verifier = closing.after(createTokenVerifier({ ...rules, kinds: ['postern-access', ...ofProvider] }));
  return { revocations, living, rules, verifier };
}
