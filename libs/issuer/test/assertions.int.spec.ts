import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type SigningAlgorithm, profileNamed } from '@postern/profile';
import { postgresForTests, type TestDatabase, type TestPostgres } from '@postern/testing';
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { issuerMigrations, openAssertions, openIssuer, type Assertions, type AssertionsSpec } from '../src/index.ts';
import { openSigningKeys } from '../src/signing-keys.ts';
import { keyTimes } from '../src/key-times.ts';
import { sealUnder } from './seal-under.ts';

const issuer = 'https://key-proxy.dev.postern.internal';
const claims = { sub: `${issuer}:acme`, aud: 'sts.amazonaws.com' };

let server: TestPostgres;
let database: TestDatabase;
const query: AssertionsSpec['query'] = <Row>(sql: string, values: readonly unknown[] = []) =>
  server.asAdmin(async (client) => (await client.query(sql, [...values])).rows as Row[], database.name);
const seal = sealUnder(randomBytes(32));
let at = new Date('2026-11-21T12:00:00Z').getTime();
const now = () => new Date(at);
const minutes = (count: number) => (at += count * 60_000);

beforeAll(async () => {
  server = await postgresForTests();
  database = await server.createDatabase({ service: 'key-proxy' });
  for (const step of Object.values(issuerMigrations.steps)) await query(step);
});
afterAll(async () => {
  await database.drop();
  await server.close();
});
beforeEach(() => query('delete from issuer_keys'));

const replica = () => openAssertions({ query, seal, issuer, now });
const headerOf = async (of: Assertions) => decodeProtectedHeader(await of.assert(claims));
/** As a cloud verifies it that read the keys now. */
const accepted = async (of: Assertions, assertion: string) =>
  jwtVerify(assertion, createLocalJWKSet(await of.jwks()), {
    issuer,
    audience: claims.aud,
    subject: claims.sub,
    algorithms: ['RS256'],
    currentDate: now(),
  });

test('an assertion is RS256 by a key of 3072 bits, for one audience, for five minutes', async () => {
  const one = replica();
  const { payload, protectedHeader } = await accepted(one, await one.assert(claims));
  expect(protectedHeader).toMatchObject({ alg: 'RS256', typ: 'JWT', kid: expect.any(String) });
  expect(payload).toEqual({ iss: issuer, ...claims, iat: at / 1000, exp: at / 1000 + 300, jti: expect.any(String) });
  const [key] = (await one.jwks()).keys;
  expect(Buffer.from(String(key?.n), 'base64url')).toHaveLength(3072 / 8);
  expect(Object.keys(key ?? {}).toSorted()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use']);
  expect(one.metadata()).toMatchObject({
    issuer,
    jwks_uri: `${issuer}/.well-known/assertion-keys.json`,
    id_token_signing_alg_values_supported: ['RS256'],
  });
});

test('R7: the keys of assertions and those of tokens are two sets; neither knows the other', async () => {
  const tokens = await openIssuer({
    query,
    seal,
    issuer,
    kinds: ['at+jwt'],
    profile: profileNamed('fedramp-moderate'),
    now,
  });
  const one = replica();
  const { kid } = await headerOf(one);
  const [own, published] = [await one.jwks(), await tokens.jwks()];
  expect(own.keys.map((key) => key.kid)).toEqual([kid]);
  expect(published.keys.map(({ alg }) => alg)).toEqual(['ES256', 'ES256']);
  expect(published.keys.map((key) => key.kid)).not.toContain(kid);
});

test('replicas agree on one key, and no key is made before one is asked for', async () => {
  const replicas = Array.from({ length: 3 }, replica);
  expect(await query('select 1 from issuer_keys')).toEqual([]);
  expect(new Set((await Promise.all(replicas.map(headerOf))).map(({ kid }) => kid)).size).toBe(1);
});

test('R13: the next key is published before it signs, the last one until its assertions are dead', async () => {
  const [one, other] = [replica(), replica()];
  const first = (await headerOf(one)).kid;
  await one.rotate();
  for (let minute = 0; minute < 30; minute += 1) {
    await accepted(one, await other.assert(claims));
    expect((await headerOf(other)).kid === first).toBe(minute < 20);
    expect((await one.jwks()).keys).toHaveLength(minute < 25 ? 2 : 1);
    minutes(1);
  }
});

test('a key of another algorithm, of an earlier version, goes on signing until its successor has been published for long enough', async () => {
  const former: SigningAlgorithm = 'ES256';
  await openSigningKeys({ query, seal, kinds: ['JWT'], alg: former, longestLifeSeconds: 300, times: keyTimes, now });
  const one = replica();
  expect((await headerOf(one)).alg).toBe(former);
  expect((await one.jwks()).keys.map(({ alg }) => alg)).toEqual([former, 'RS256']);
  minutes(21);
  await accepted(one, await one.assert(claims));
  minutes(6);
  expect((await one.jwks()).keys.map(({ alg }) => alg)).toEqual(['RS256']);
});

test('where the first key cannot be made the next call makes it', async () => {
  let away = true;
  const one = openAssertions({
    query: (...asked) => (away ? Promise.reject(new Error('away')) : query(...asked)),
    seal,
    issuer,
    now,
  });
  await expect(one.assert(claims)).rejects.toThrow('away');
  away = false;
  await accepted(one, await one.assert(claims));
});
