import { describe, expect, test } from '@jest/globals';
import { profileNamed } from '@postern/profile';
import { openRevocations, type Query } from '../../src/index.ts';
import { at, database, issuer, now, pass, query, realm, revoke, sequence, server, token } from './scene.ts';

/** The sequence of an issuer (R14). */
export function theSequence(): void {
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

    test('an entry of a time that lies a minute ahead stays while a token of until then may live', async () => {
      await revoke({ kind: 'client', client: 'job', before: Math.floor(at / 1000) + 60 });
      pass(359_000);
      await sequence.forget();
      expect(await query('select seq from revocations')).toHaveLength(1);
    });

    test('an entry goes when no token can meet it any more, and the numbers go on', async () => {
      await revoke(token('first'));
      pass(362_000);
      await sequence.forget();
      await revoke(token('second'));
      expect(await query('select seq from revocations')).toEqual([{ seq: '2' }]);
      const page = await sequence.page(0);
      expect(page).toMatchObject({ through: 2, revocations: [{ seq: 2 }] });
    });

    test('an entry stays while a session of pages that was last used before it may live, which is longer than a token', async () => {
      const profile = profileNamed('fedramp-high');
      expect(profile.sessionIdleMinutes).toBeGreaterThan(profile.accessTokenMinutes);
      const kept = openRevocations({ query, issuer, profile, now });
      const session = { kind: 'session', issuer: realm, sessionId: 'session-1' } as const;
      await kept.revoke(query, [session]);
      pass(profile.sessionIdleMinutes * 60_000 - 1);
      await kept.forget();
      expect((await kept.page(0)).revocations).toMatchObject([{ target: session }]);
    });

    test('a target that is none is not written', async () => {
      await expect(revoke({ kind: 'subject', tenant: 'acme', issuer: realm, sub: 'x' } as never)).rejects.toThrow();
      expect((await sequence.page(0)).through).toBe(0);
    });
  });
}
