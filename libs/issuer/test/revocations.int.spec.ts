import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  createTokenVerifier,
  followRevocations,
  revocationKinds,
  type FollowedRevocations,
  type RevocationPage,
  type RevocationSource,
  type RevocationTarget,
} from '@postern/oidc';
import { profileNamed } from '@postern/profile';
import { postgresForTests, type TestDatabase, type TestPostgres } from '@postern/testing';
import { createLocalJWKSet, exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import {
  issuerMigrations,
  openIntrospection,
  openIssuer,
  openRevocations,
  type Issuer,
  type MintedClaims,
  type Query,
  type RevocationSequence,
} from '../src/index.ts';
import { sealUnder } from './seal-under.ts';

const origin = 'https://token-exchange.dev.postern.internal';
const realm = 'https://realm.dev.postern.internal/realms/postern';
const profile = profileNamed('fedramp-moderate');
const thumbprint = 'T'.repeat(43);
const claims: MintedClaims = {
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

let server: TestPostgres;
let database: TestDatabase;
let issuer: Issuer;
let sequence: RevocationSequence;
let at = Date.now();
const now = () => new Date(at);
const query: Query = <Row>(sql: string, values: readonly unknown[] = []) =>
  server.asAdmin(async (client) => (await client.query(sql, [...values])).rows as Row[], database.name);
const closing: FollowedRevocations[] = [];

beforeAll(async () => {
  server = await postgresForTests();
  database = await server.createDatabase({ service: 'token-exchange' });
  for (const step of Object.values(issuerMigrations.steps)) await query(step);
  const seal = sealUnder(randomBytes(32));
  issuer = await openIssuer({ query, seal, issuer: origin, kinds: ['at+jwt'], profile, now });
});
afterAll(async () => {
  await database.drop();
  await server.close();
});
beforeEach(async () => {
  await query('delete from revocations');
  await query('update revocation_head set seq = 0');
  sequence = openRevocations({ query, issuer, longestLifeSeconds: 300, now });
});
afterEach(() => Promise.all(closing.splice(0).map((followed) => followed.close())));

const revoke = (...targets: RevocationTarget[]) => sequence.revoke(query, targets);
const token = (tokenId: string): RevocationTarget => ({ kind: 'token', issuer: origin, tokenId });
const mint = (over: Partial<MintedClaims> = {}) =>
  issuer.mint('at+jwt', { ...claims, ...over }, { lifetimeSeconds: 300, binding: { kind: 'certificate', thumbprint } });

const keys: RevocationSource['keys'] = {
  keyFor: async (kid, alg) => (await createLocalJWKSet(await issuer.jwks())({ kid, alg })) as CryptoKey,
};
const source = (over: Partial<RevocationSource> = {}): RevocationSource => ({
  issuer: origin,
  kinds: revocationKinds,
  read: (after) => sequence.page(after),
  keys,
  ...over,
});

function follow(from: RevocationSource, introspect?: () => Promise<boolean | null>) {
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
async function until(condition: () => boolean | Promise<boolean>) {
  while (!(await condition())) await new Promise((again) => setTimeout(again, 5));
}
const known = ({ followed }: ReturnType<typeof follow>) =>
  until(() =>
    followed.fresh().then(
      () => true,
      () => false,
    ),
  );

const verifierWith = (revocations: FollowedRevocations) =>
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

async function reasonOf(verifier: ReturnType<typeof verifierWith>, minted: string): Promise<string> {
  return verifier.verify(minted, { certificateThumbprint: thumbprint }).then(
    () => 'accepted',
    (error: { reason?: string }) => error.reason ?? String(error),
  );
}

describe('the sequence (R14)', () => {
  test('numbers follow commits without a gap, also when writers race and one of them is rolled back', async () => {
    const writers = Array.from({ length: 8 }, (_, writer) =>
      server.asAdmin(async (client) => {
        const within: Query = async <Row>(sql: string, values: readonly unknown[] = []) =>
          (await client.query(sql, [...values])).rows as Row[];
        await client.query('begin');
        await sequence.revoke(within, [token(`${writer}-a`), token(`${writer}-b`)]);
        await client.query(writer === 3 ? 'rollback' : 'commit');
      }, database.name),
    );
    await Promise.all(writers);
    const { revocations, through } = await sequence.page(0);
    expect(revocations.map(({ seq }) => seq)).toEqual(Array.from({ length: 14 }, (_, index) => index + 1));
    expect(through).toBe(14);
    const written = revocations.map(({ target }) => (target as { tokenId: string }).tokenId);
    expect(written).not.toContain('3-a');
  });

  test('an entry goes when no token can meet it any more, and the numbers go on', async () => {
    await revoke(token('first'));
    at += 302_000;
    await sequence.forget();
    await revoke(token('second'));
    expect(await query('select seq from revocations')).toEqual([{ seq: '2' }]);
    const page = await sequence.page(0);
    expect(page).toMatchObject({ through: 2, revocations: [{ seq: 2 }] });
  });

  test('a target that is none is not written', async () => {
    await expect(revoke({ kind: 'subject', tenant: 'acme', issuer: realm, sub: 'x' } as never)).rejects.toThrow();
    expect((await sequence.page(0)).through).toBe(0);
  });
});

describe('a replica that follows', () => {
  test.each<[string, (tokenId: string, keyId: string) => RevocationTarget, Partial<MintedClaims>]>([
    ['the token', (tokenId) => token(tokenId), {}],
    ['its session', () => ({ kind: 'session', issuer: realm, sessionId: 'session-1' }), { sid: 'session-2' }],
    [
      'its grant',
      () => ({ kind: 'grant', grantId: 'grant-1', before: Math.floor(at / 1000) + 1 }),
      { grant_id: 'grant-2' },
    ],
    [
      'its person, before a time',
      () => ({ kind: 'subject', tenant: 'acme', issuer: realm, sub: 'alice-id', before: Math.floor(at / 1000) + 1 }),
      { sub: 'bob-id' },
    ],
    [
      'its tenant, before a time',
      () => ({ kind: 'tenant', tenant: 'acme', before: Math.floor(at / 1000) + 1 }),
      { tenant: 'other' },
    ],
    [
      'its client, before a time',
      () => ({ kind: 'client', client: 'job', before: Math.floor(at / 1000) + 1 }),
      { client_id: 'portal' },
    ],
    [
      'a workload that acted for it',
      () => ({ kind: 'client', client: 'relay-job', before: Math.floor(at / 1000) + 1 }),
      { act: { sub: 'key-proxy' } },
    ],
  ])('refuses a token once %s is revoked, and no other', async (_, target, otherwise) => {
    const world = follow(source());
    await known(world);
    const verifier = verifierWith(world.followed);
    const minted = await mint();
    const other = await mint(otherwise);
    expect(await reasonOf(verifier, minted.token)).toBe('accepted');
    const [ours, others] = await Promise.all([verifier.inspect(minted.token), verifier.inspect(other.token)]);
    await revoke(target(minted.tokenId, ''));
    // Its issuer knows without waiting for any follower.
    expect([await sequence.revokes(ours), await sequence.revokes(others)]).toEqual([true, false]);
    await until(async () => (await reasonOf(verifier, minted.token)) === 'revoked');
    expect(await reasonOf(verifier, other.token)).toBe('accepted');
  });

  test('refuses everything that a revoked key has signed (R13)', async () => {
    const world = follow(source());
    await known(world);
    const verifier = verifierWith(world.followed);
    const { token: minted } = await mint();
    const keyId = (await verifier.inspect(minted)).keyId;
    await revoke({ kind: 'key', issuer: origin, keyId });
    await until(async () => (await reasonOf(verifier, minted)) === 'revoked');
  });

  test('takes a person’s tokens again that were issued after the time', async () => {
    const world = follow(source());
    const before = Math.floor(at / 1000) + 1;
    await revoke({ kind: 'subject', tenant: 'acme', issuer: realm, sub: 'alice-id', before });
    await known(world);
    at += 2_000;
    const { token: later } = await mint();
    const verifier = verifierWith(world.followed);
    expect(await reasonOf(verifier, later)).toBe('accepted');
    expect(await sequence.revokes(await verifier.inspect(later))).toBe(false);
  });

  test('loads a snapshot of several pages before it calls itself ready', async () => {
    await revoke(...Array.from({ length: 2_100 }, (_, index) => token(`t-${index}`)));
    const pages: RevocationPage[] = [];
    const world = follow(
      source({
        async read(after) {
          const page = await sequence.page(after);
          pages.push(page);
          return page;
        },
      }),
    );
    await known(world);
    expect(pages.slice(0, 3).map(({ revocations }) => revocations.length)).toEqual([1_000, 1_000, 100]);
  });

  test('is stale without a head: it asks the issuer about the token, and says 503 where nobody answers', async () => {
    let failing = false;
    let answer: boolean | null = null;
    const unreachable = source({
      read: (after) => (failing ? Promise.reject(new Error('unreachable')) : sequence.page(after)),
    });
    const world = follow(unreachable, () => Promise.resolve(answer));
    await known(world);
    failing = true;
    at += 11_000;
    const verifier = verifierWith(world.followed);
    const { token: minted } = await mint();
    expect(await reasonOf(verifier, minted)).toBe('revocation_unavailable');
    await expect(world.followed.fresh()).rejects.toThrow(origin);
    await until(() => world.reported.includes('lost'));
    answer = true;
    expect(await reasonOf(verifier, minted)).toBe('accepted');
    answer = false;
    expect(await reasonOf(verifier, minted)).toBe('revoked');
    failing = false;
    await until(async () => (await reasonOf(verifier, minted)) === 'accepted');
    expect(world.reported).toEqual(['followed', 'lost', 'followed']);
  });

  test('takes from an issuer only what it may revoke, and of tokens only its own', async () => {
    const world = follow(source({ kinds: ['token', 'client'] }));
    await known(world);
    const { token: minted } = await mint();
    await revoke(
      { kind: 'grant', grantId: 'grant-1', before: Math.floor(at / 1000) + 1 },
      { kind: 'token', issuer: realm, tokenId: 'x' },
      { kind: 'client', client: 'nobody', before: Math.floor(at / 1000) },
    );
    await until(() => world.followed.size() > 0);
    expect(world.followed.size()).toBe(1);
    expect(await reasonOf(verifierWith(world.followed), minted)).toBe('accepted');
  });

  test('a silent issuer leaves open only what it could have revoked', async () => {
    const world = follow(source({ kinds: ['grant', 'session'], read: () => Promise.reject(new Error('unreachable')) }));
    const verifier = verifierWith(world.followed);
    const { token: ofGrant } = await mint();
    const { sid, grant_id: grant, ...rest } = claims;
    const { token: ofWorkload } = await issuer.mint('at+jwt', rest, {
      lifetimeSeconds: 300,
      binding: { kind: 'certificate', thumbprint },
    });
    expect([sid, grant]).toEqual(['session-1', 'grant-1']);
    expect(await reasonOf(verifier, ofGrant)).toBe('revocation_unavailable');
    expect(await reasonOf(verifier, ofWorkload)).toBe('accepted');
    await expect(world.followed.loaded()).rejects.toThrow(origin);
  });

  test('believes no head but one that this issuer signed a moment ago', async () => {
    const foreign = await generateKeyPair('ES256', { extractable: true });
    const { kid } = (await exportJWK(foreign.publicKey)) as { kid?: string };
    const { keys: own } = await issuer.jwks();
    const head = (over: object, typ = 'revocations+jwt') =>
      new SignJWT({ iss: origin, seq: 0, iat: Math.floor(at / 1000), ...over })
        .setProtectedHeader({ alg: 'ES256', typ, kid: kid ?? own[0]?.kid ?? '' })
        .sign(foreign.privateKey);
    const { token: accessToken } = await mint();
    const old = await issuer.signHead(0);
    at += 60_000;
    const heads = [await head({}), accessToken, old, 'no.head.atall', await head({ iss: realm })];
    for (const forged of heads) {
      let reads = 0;
      const world = follow(
        source({
          read() {
            reads += 1;
            return Promise.resolve({ head: forged, through: 0, revocations: [] });
          },
        }),
      );
      await until(() => reads > 3);
      await expect(world.followed.fresh()).rejects.toThrow(origin);
    }
    expect(heads).toHaveLength(5);
  });

  test('keeps what it heard when the issuer’s database went back, reads on, and says so', async () => {
    const world = follow(source());
    const { token: minted, tokenId } = await mint();
    await revoke(token('a'), token(tokenId));
    const verifier = verifierWith(world.followed);
    await until(async () => (await reasonOf(verifier, minted)) === 'revoked');
    await query('delete from revocations');
    await query('update revocation_head set seq = 0');
    await until(() => world.reported.includes('went_back'));
    const after = await mint();
    await revoke(token(after.tokenId));
    await until(async () => (await reasonOf(verifier, after.token)) === 'revoked');
    expect(await reasonOf(verifier, minted)).toBe('revoked');
  });
});

test('introspection knows its own living tokens, and one answer for everything else (RFC 7662)', async () => {
  const world = follow(source());
  await known(world);
  const introspection = openIntrospection({
    issuer,
    kind: 'postern-access',
    profile,
    revocations: world.followed,
    now,
  });
  const { token: minted, tokenId } = await mint();
  expect(await introspection.living(minted)).toMatchObject({ tokenId, tenant: 'acme' });
  expect(await introspection.living(`${minted.slice(0, -4)}AAAA`)).toBeNull();
  expect(await introspection.living('opaque')).toBeNull();
  await revoke(token(tokenId));
  await until(async () => (await introspection.living(minted)) === null);
  const { token: expired } = await mint();
  at += 301_000;
  expect(await introspection.living(expired)).toBeNull();
});
