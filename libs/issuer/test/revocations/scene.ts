import { randomBytes } from 'node:crypto';
import {
  createTokenVerifier,
  followRevocations,
  revocationKinds,
  type FollowedRevocations,
  type RevocationSource,
  type RevocationTarget,
} from '@postern/oidc';
import { profileNamed } from '@postern/profile';
import { postgresForTests, type TestDatabase, type TestPostgres } from '@postern/testing';
import { createLocalJWKSet, type CryptoKey } from 'jose';
import {
  issuerMigrations,
  openIssuer,
  openRevocations,
  type Issuer,
  type MintedClaims,
  type Query,
  type RevocationSequence,
} from '../../src/index.ts';
import { sealUnder } from '../seal-under.ts';

// An issuer with its sequence of revocations, and who follows it.

export const origin = 'https://token-exchange.dev.postern.internal';
export const realm = 'https://realm.dev.postern.internal/realms/postern';
export const profile = profileNamed('fedramp-moderate');
export const thumbprint = 'T'.repeat(43);
export const claims: MintedClaims = {
  sub: 'alice-id',
  subject_issuer: realm,
  aud: 'crypto-store',
  tenant: 'acme',
  client_id: 'job',
  scope: 'records:read',
  act: { sub: 'key-proxy', act: { sub: 'relay-job' } },
  sid: 'session-1',
  grant_id: 'grant-1',
};

export let server: TestPostgres;
export let database: TestDatabase;
export let issuer: Issuer;
export let sequence: RevocationSequence;
export let at = Date.now();
export const now = () => new Date(at);
/** Milliseconds pass. */
export const pass = (ms: number) => void (at += ms);
export const query: Query = <Row>(sql: string, values: readonly unknown[] = []) =>
  server.asAdmin(async (client) => (await client.query(sql, [...values])).rows as Row[], database.name);
const closing: FollowedRevocations[] = [];

export async function open(): Promise<void> {
  server = await postgresForTests();
  database = await server.createDatabase({ service: 'token-exchange' });
  for (const step of Object.values(issuerMigrations.steps)) await query(step);
  const seal = sealUnder(randomBytes(32));
  issuer = await openIssuer({ query, seal, issuer: origin, kinds: ['at+jwt'], profile, now });
}
export async function close(): Promise<void> {
  await database.drop();
  await server.close();
}
export async function renew() {
  await query('delete from revocations');
  await query('update revocation_head set seq = 0');
  sequence = openRevocations({ query, issuer, profile: { accessTokenMinutes: 5, sessionIdleMinutes: 5 }, now });
}
export function restore() {
  return Promise.all(closing.splice(0).map((followed) => followed.close()));
}

export const revoke = (...targets: RevocationTarget[]) => sequence.revoke(query, targets);
export const token = (tokenId: string): RevocationTarget => ({ kind: 'token', issuer: origin, tokenId });
export const mint = (over: Partial<MintedClaims> = {}) =>
  issuer.mint('at+jwt', { ...claims, ...over }, { lifetimeSeconds: 300, binding: { kind: 'certificate', thumbprint } });

export const keys: RevocationSource['keys'] = {
  keyFor: async (kid, alg) => (await createLocalJWKSet(await issuer.jwks())({ kid, alg })) as CryptoKey,
};
export const source = (over: Partial<RevocationSource> = {}): RevocationSource => ({
  issuer: origin,
  kinds: revocationKinds,
  read: (after) => sequence.page(after),
  keys,
  ...over,
});

export function follow(from: RevocationSource, introspect?: () => Promise<boolean | null>) {
  const reported: string[] = [];
  const followed = followRevocations({
    sources: [from],
    now,
    ...(introspect && { introspect }),
    report: ({ state }) => reported.push(state),
    times: { everySeconds: 0.01, staleAfterSeconds: 10 },
  });
  closing.push(followed);
  return { followed, reported };
}

/** Waits for what the follower does by itself; fails by the test's own time limit. */
export async function until(condition: () => boolean | Promise<boolean>) {
  while (!(await condition())) await new Promise((again) => setTimeout(again, 5));
}
export const known = ({ followed }: ReturnType<typeof follow>) =>
  until(() =>
    followed.fresh().then(
      () => true,
      () => false,
    ),
  );

export const verifierWith = (revocations: FollowedRevocations) =>
  createTokenVerifier({
    issuers: [
      {
        issuer: origin,
        jwksUri: `${origin}/.well-known/jwks.json`,
        kinds: ['postern-access'],
        algorithms: [profile.signingAlg],
        scopeCeiling: 'policy',
        tenant: { claim: 'tenant' },
      },
    ],
    audience: 'crypto-store',
    kinds: ['postern-access'],
    profile,
    fetchJwks: () => issuer.jwks(),
    revocations,
    now,
  });

export async function reasonOf(verifier: ReturnType<typeof verifierWith>, minted: string): Promise<string> {
  return verifier.verify(minted, { certificateThumbprint: thumbprint }).then(
    () => 'accepted',
    (error: { reason?: string }) => error.reason ?? String(error),
  );
}
