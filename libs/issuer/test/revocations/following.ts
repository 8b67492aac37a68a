import { describe, expect, test } from '@jest/globals';
import { type RevocationPage, type RevocationTarget } from '@postern/oidc';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { type MintedClaims } from '../../src/index.ts';
import {
  at,
  claims,
  follow,
  issuer,
  known,
  mint,
  origin,
  pass,
  query,
  realm,
  reasonOf,
  revoke,
  sequence,
  source,
  thumbprint,
  token,
  until,
  verifierWith,
} from './scene.ts';

/** A replica that follows. */
export function following(): void {
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
      pass(2_000);
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

    test('asks again in a second, and not at once for ever, where a page leads nowhere', async () => {
      await revoke(token('a'));
      const page = async (after: number) => ({ ...(await sequence.page(after)), through: after, revocations: [] });
      const { followed } = follow(source({ read: page }));
      await expect(followed.loaded()).rejects.toThrow(origin);
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
      pass(11_000);
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
      const world = follow(
        source({ kinds: ['grant', 'session'], read: () => Promise.reject(new Error('unreachable')) }),
      );
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
      pass(60_000);
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
}
