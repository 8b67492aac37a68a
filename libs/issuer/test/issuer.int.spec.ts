import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createTokenVerifier, type TokenVerifierSpec } from '@postern/oidc';
import { profileNamed } from '@postern/profile';
import { postgresForTests, type TestDatabase, type TestPostgres } from '@postern/testing';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { issuerMigrations, openIssuer, type Issuer, type IssuerSpec, type MintedClaims } from '../src/index.ts';
import { sealUnder } from './seal-under.ts';

const issuer = 'https://token-exchange.dev.postern.internal';
const profile = profileNamed('fedramp-moderate');
const thumbprint = 'T'.repeat(43);
const bound = { lifetimeSeconds: 300, binding: { kind: 'certificate', thumbprint } } as const;
const claims: MintedClaims = {
  sub: 'alice-id',
  subject_issuer: 'https://realm.dev.postern.internal/realms/postern',
  aud: 'crypto-store',
  tenant: 'acme',
  client_id: 'job',
  scope: 'records:read',
  act: { sub: 'key-proxy', act: { sub: 'job' } },
};

let server: TestPostgres;
let database: TestDatabase;
const query: IssuerSpec['query'] = <Row>(sql: string, values: readonly unknown[] = []) =>
  server.asAdmin(async (client) => (await client.query(sql, [...values])).rows as Row[], database.name);
const seal = sealUnder(randomBytes(32));
let at = new Date('2026-11-21T12:00:00Z').getTime();
const now = () => new Date(at);
const minutes = (count: number) => (at += count * 60_000);

beforeAll(async () => {
  server = await postgresForTests();
  database = await server.createDatabase({ service: 'token-exchange' });
  for (const step of Object.values(issuerMigrations.steps)) await query(step);
});
afterAll(async () => {
  await database.drop();
  await server.close();
});
beforeEach(() => query('delete from issuer_keys'));

const replica = (over: Partial<IssuerSpec> = {}) =>
  openIssuer({ query, seal, issuer, kinds: ['at+jwt'], profile, now, ...over });

const verifierOf = (of: Issuer, over: Partial<TokenVerifierSpec> = {}) =>
  createTokenVerifier({
    issuers: [
      {
        issuer,
        jwksUri: `${issuer}/.well-known/jwks.json`,
        kinds: ['postern-access'],
        algorithms: ['ES256'],
        scopeCeiling: 'policy',
        tenant: { claim: 'tenant' },
      },
    ],
    audience: 'crypto-store',
    kinds: ['postern-access'],
    profile,
    fetchJwks: () => of.jwks(),
    now,
    ...over,
  });

/** The published keys of access tokens. */
async function kids(of: Issuer): Promise<string[]> {
  const { keys } = await of.jwks();
  const rows = await query<{ kid: string }>("select kid from issuer_keys where kind = 'at+jwt'");
  const ofAccess = new Set(rows.map(({ kid }) => kid));
  return keys.map(({ kid }) => kid ?? '').filter((kid) => ofAccess.has(kid));
}

test('a minted token is what the verifier reads: person by three claims, actors, binding (R3)', async () => {
  const issued = await replica();
  const { token, expiresAt, tokenId } = await issued.mint('at+jwt', claims, bound);
  expect(decodeProtectedHeader(token)).toMatchObject({ alg: 'ES256', typ: 'at+jwt' });
  const principal = await verifierOf(issued).verify(token, {
    certificateThumbprint: thumbprint,
    workload: 'key-proxy',
  });
  expect(principal).toMatchObject({
    tenant: 'acme',
    person: { issuer: claims.subject_issuer, sub: 'alice-id' },
    clientId: 'job',
    actors: ['key-proxy', 'job'],
    tokenId,
    expiresAt,
  });
});

test('twenty replicas that start at once agree on one key', async () => {
  const replicas = await Promise.all(Array.from({ length: 20 }, () => replica()));
  const tokens = await Promise.all(replicas.map((one) => one.mint('at+jwt', claims, bound)));
  expect(new Set(tokens.map(({ token }) => decodeProtectedHeader(token).kid)).size).toBe(1);
  expect(await query("select 1 from issuer_keys where kind = 'at+jwt'")).toHaveLength(1);
});

test('R7: no key signs two kinds', async () => {
  const both = await replica({ kinds: ['at+jwt', 'grant+jwt'] });
  const access = await both.mint('at+jwt', claims, bound);
  const grant = await both.mint('grant+jwt', { ...claims, aud: 'token-exchange', grant_id: 'g-1' }, bound);
  expect(decodeProtectedHeader(access.token).kid).not.toBe(decodeProtectedHeader(grant.token).kid);
  await expect((await replica()).mint('grant+jwt', claims, bound)).rejects.toThrow(RangeError);
});

test('R13: a new key is published before it signs and the old one after; no token is refused in between', async () => {
  const [one, other] = [await replica(), await replica()];
  const verifier = verifierOf(one);
  const accepted = async () => {
    for (const each of [one, other]) {
      const { token } = await each.mint('at+jwt', claims, bound);
      await verifier.verify(token, { certificateThumbprint: thumbprint });
    }
  };
  await accepted();
  const [first] = await kids(one);
  await Promise.all([one.rotate(), other.rotate()]);
  expect(await query("select 1 from issuer_keys where kind = 'at+jwt'")).toHaveLength(2);
  const signer = async () => decodeProtectedHeader((await other.mint('at+jwt', claims, bound)).token).kid;
  for (let minute = 0; minute < 40; minute++) {
    await accepted();
    expect((await kids(one)).length).toBe(minute < 30 ? 2 : 1);
    expect((await signer()) === first).toBe(minute < 20);
    minutes(1);
  }
  await one.rotate();
  expect(await query('select 1 from issuer_keys where kid = $1', [first])).toHaveLength(0);
});

test('R13: a key that was taken away signs nothing more, also where the table cannot be read just then', async () => {
  let away = false;
  const issued = await replica({
    query: (sql, values) => (away ? Promise.reject(new Error('Postgres is away')) : query(sql, values)),
  });
  const kidOf = async () => decodeProtectedHeader((await issued.mint('at+jwt', claims, bound)).token).kid;
  const taken = await kidOf();
  expect(await issued.replaceKey(query, String(taken))).toBe(true);
  away = true;
  await expect(issued.reload()).rejects.toThrow('Postgres is away');
  await expect(kidOf()).rejects.toThrow('Postgres is away');
  away = false;
  expect(await kidOf()).not.toBe(taken);
});

test('R13: what is put in place of a key signs at once, also where another replica made the next number meanwhile', async () => {
  const [issued, other] = [await replica(), await replica()];
  const taken = decodeProtectedHeader((await issued.mint('at+jwt', claims, bound)).token).kid;
  await server.asAdmin(async (client) => {
    const within: IssuerSpec['query'] = async <Row>(sql: string, values: readonly unknown[] = []) => {
      if (sql.trim().startsWith('insert')) await other.rotate();
      return (await client.query(sql, [...values])).rows as Row[];
    };
    await client.query('begin');
    expect(await issued.replaceKey(within, String(taken))).toBe(true);
    await client.query('commit');
  }, database.name);
  await issued.reload();
  const { token } = await issued.mint('at+jwt', claims, bound);
  expect(decodeProtectedHeader(token).kid).not.toBe(taken);
});

test('R13: rotation happens by itself, in time for the overlap', async () => {
  const issued = await replica();
  minutes(30 * 24 * 60 - 21);
  expect(await kids(issued)).toHaveLength(1);
  minutes(2);
  expect(await kids(issued)).toHaveLength(2);
});

test('the private key is sealed in the table, for this kind and kid only', async () => {
  const issued = await replica({ kinds: ['at+jwt', 'grant+jwt'] });
  await issued.mint('at+jwt', claims, bound);
  const rows = await query<{ kid: string; kind: string; sealed_private: Buffer }>(
    'select kid, kind, sealed_private from issuer_keys',
  );
  expect(rows.every((row) => !row.sealed_private.includes('PRIVATE KEY'))).toBe(true);
  await query(`update issuer_keys k set sealed_private = o.sealed_private from issuer_keys o where o.kind <> k.kind`);
  await expect(replica({ kinds: ['at+jwt', 'grant+jwt'] })).rejects.toThrow();
});

describe('what is not minted', () => {
  test('an unbound token, a DPoP-bound one in high, a claim that nobody declared, a life of nothing', async () => {
    const issued = await replica();
    const none = { kind: 'none' } as const;
    await expect(issued.mint('at+jwt', claims, { ...bound, binding: none })).rejects.toThrow(RangeError);
    const high = await replica({ profile: profileNamed('fedramp-high') });
    await expect(
      high.mint('at+jwt', claims, { ...bound, binding: { kind: 'dpop', jkt: thumbprint } }),
    ).rejects.toThrow();
    await expect(issued.mint('at+jwt', { ...claims, admin: true } as MintedClaims, bound)).rejects.toThrow();
    await expect(issued.mint('at+jwt', { ...claims, act: { sub: '' } }, bound)).rejects.toThrow();
    await expect(issued.mint('at+jwt', claims, { ...bound, lifetimeSeconds: 0 })).rejects.toThrow(RangeError);
  });

  test('several audiences only in an access token that is bound, each once', async () => {
    const low = await replica({ profile: profileNamed('fedramp-low'), kinds: ['at+jwt', 'grant+jwt'] });
    const several = { ...claims, aud: ['crypto-store', 'audit-sink'] };
    const { token } = await low.mint('at+jwt', several, bound);
    expect(decodeJwt(token).aud).toEqual(several.aud);
    await expect(low.mint('at+jwt', several, { ...bound, binding: { kind: 'none' } })).rejects.toThrow(RangeError);
    await expect(low.mint('grant+jwt', several, bound)).rejects.toThrow(RangeError);
    for (const aud of [[], ['crypto-store'], ['crypto-store', 'crypto-store']]) {
      await expect(low.mint('at+jwt', { ...claims, aud }, bound)).rejects.toThrow('aud');
    }
  });

  test('more life than the profile’s', async () => {
    const { token } = await (await replica()).mint('at+jwt', claims, { ...bound, lifetimeSeconds: 86_400 });
    const { exp = 0, iat = 0 } = decodeJwt(token);
    expect(exp - iat).toBe(600);
  });
});
