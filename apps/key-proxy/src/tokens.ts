import { type BranchKeys, sealerFor } from '@postern/branch-keys';
import { type EndedTenants } from '@postern/branch-keys/destruction';
import { openAssertions, openIntrospection, openIssuer, openRevocations, ownKeysFirst } from '@postern/issuer';
import { createTokenVerifier, fetchJwksOver, followTrusted, type UseOnce } from '@postern/oidc';
import { type Query, useOnce as useOnceIn } from '@postern/postgres';
import { type Profile } from '@postern/profile';
import { type Closing, type Logger, type Now } from '@postern/runtime';
import { type Dispatcher } from 'undici';
import { SERVICE } from './app.ts';
import { type Config } from './config.ts';

export type OpenTokens = {
  config: Config;
  query: Query;
  branchKeys: BranchKeys;
  endedTenants: EndedTenants;
  /** The way to the issuers' key sets. */
  peers: Dispatcher;
  profile: Profile;
  logger: Logger;
  now: Now;
  closing: Pick<Closing, 'after'>;
};

/** Whose branch keys seal what is no tenant's: the issuer's signing keys. */
const NO_TENANT = 'postern';

/**
 * Tokens that this service gives to its own accounts (R2) and ends (R14), and what it takes for one: its own and those of others;
 * and what it asserts to clouds (R36).
 */
export async function openTokens(deps: OpenTokens) {
  const { config, query, branchKeys, endedTenants, peers, profile, logger, now, closing } = deps;
  const { trust } = config;
  const signing = {
    query,
    seal: sealerFor(branchKeys, { tenant: NO_TENANT, purpose: 'service-secrets' }),
    issuer: config.issuer,
    now,
  };
  const issuer = closing.after(await openIssuer({ ...signing, kinds: ['at+jwt'], profile }));
  const assertions = openAssertions(signing);
  const useOnce: UseOnce = (kind, value, expiresAt) => useOnceIn(query, kind, value, expiresAt);
  const fetchJwks = ownKeysFirst(issuer, trust, fetchJwksOver(peers));
  const sequence = openRevocations({ query, issuer, longestLifeSeconds: profile.accessTokenMinutes * 60, now });
  const own = { issuer: issuer.issuer, page: sequence.page };
  const revocations = closing.after(followTrusted({ trust, dispatcher: peers, fetchJwks, own, logger, now }));
  const living = endedTenants.over(revocations);
  const verifier = closing.after(
    createTokenVerifier({
      issuers: trust.issuers,
      audience: SERVICE,
      kinds: ['postern-access', ...(profile.senderBinding === 'optional' ? (['provider-access'] as const) : [])],
      profile,
      fetchJwks,
      revocations: living,
      useOnce,
      now,
    }),
  );
  const introspection = openIntrospection({ issuer, kind: 'postern-access', profile, revocations: living, now });
  return { issuer, assertions, sequence, revocations, introspection, verifier, useOnce };
}
