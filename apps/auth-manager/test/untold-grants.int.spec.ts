import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { problem, Secret, silentLogger } from '@postern/runtime';
import { finishLeftRevocations } from '../src/grants/finish-left-revocations.ts';
import type { ProviderCalls } from '../src/provider/provider-calls.ts';
import { commitIntent } from '../src/refresh/commit-intent.ts';
import { openGrantLocks } from '../src/refresh/grant-lock.ts';
import { journalReply } from '../src/refresh/journal-reply.ts';
import { discardEnded } from '../src/sessions/discard-ended.ts';
import { endSessions } from '../src/sessions/end-sessions.ts';
import { freshGrants, OTHER, type FreshGrants } from './fresh-grants.ts';
import { waitsForLock } from './waits-for-lock.ts';

// Grants that are closed here and that their provider does not know of yet. Its answers are scripted; all else is real.

let at: FreshGrants;
beforeAll(async () => {
  at = await freshGrants();
});
afterAll(() => at.close());
beforeEach(() => at.clear());

/** What the rounds stand on, with a provider that is told, and one that gives no answer. */
function worker() {
  const told: string[] = [];
  let refused = 0;
  const revoke = async (token: Secret) => void told.push(token.reveal());
  const away = async () => {
    refused += 1;
    throw problem('provider_unavailable');
  };
  const { db, vault, now } = at;
  const deps = {
    db,
    vault,
    now,
    lock: openGrantLocks(db, { atOnce: 4, perProvider: 4 }),
    providerOf: ({ provider }: { provider: string }) =>
      ({ revoke: provider === OTHER ? revoke : away }) as unknown as ProviderCalls,
    audit: { commit: async () => true },
    sequence: { revoke: async () => {} },
    logger: silentLogger(),
  };
  return { deps, told, refused: () => refused };
}

async function closed(state: 'revoking' | 'ended', count: number, provider: string, minutesAgo: number) {
  const ids = await at.grants(count, { idleSeconds: null, provider });
  const since = new Date(at.now().getTime() - minutesAgo * 60_000);
  await at.query('update grants set state = $2, updated_at = $3 where id = any($1)', [ids, state, since]);
  return ids;
}

test.each([
  ['revoked', 'revoking', finishLeftRevocations],
  ['ended with their session', 'ended', discardEnded],
] as const)(
  'R23: grants that were %s wait for no other provider than their own, and one without an answer is asked once a round',
  async (_how, state, round) => {
    await closed(state, 30, at.issuer, 60);
    const ids = await closed(state, 2, OTHER, 5);
    const { deps, told, refused } = worker();
    await round(deps);
    expect(told.toSorted()).toEqual(ids.map((id) => `token of ${id}`).toSorted());
    expect(refused()).toBe(1);
  },
);

test('R23: a grant that could not be told comes after those that were not tried', async () => {
  const [first, second] = await closed('revoking', 2, at.issuer, 60);
  await at.query("update grants set updated_at = updated_at - interval '1 minute' where id = $1", [first]);
  await finishLeftRevocations(worker().deps);
  at.later(31);
  const rows = await at.query<{ id: string }>('select id from grants order by updated_at', []);
  expect(rows.map(({ id }) => id)).toEqual([second, first]);
});

test('R20: of a grant that ended, a token that was journalled and never applied is revoked too, and forgotten', async () => {
  const [id = ''] = await at.grants(1, { idleSeconds: null, provider: OTHER });
  const row = await at.db.selectFrom('grants').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  const { attempt } = await commitIntent(at.db, row, at.now());
  const reply = { rotated: new Secret('the only living one'), repliedAt: at.now() };
  await journalReply(at, at.db, { attempt, tenant: 'acme' }, reply);
  await at.query("update grants set state = 'ended' where id = $1", [id]);
  const { deps, told } = worker();
  await discardEnded(deps);
  expect(told).toEqual(['the only living one', `token of ${id}`]);
  expect(await at.query('select state, sealed_reply from refresh_attempts', [])).toEqual([
    { state: 'abandoned', sealed_reply: null },
  ]);
});

test('R14: what was minted while the end of a session waited for its grant ends with it', async () => {
  const { db, query, sequence, now } = at;
  const [id = ''] = await at.grants(1, { idleSeconds: null });
  const who = { issuer: at.issuer, sub: 'alice', sessionIds: undefined, tenants: null };
  const { ending } = await db.transaction().execute(async (tx) => {
    // A consent of the same session, say, that takes its time.
    await tx.selectFrom('grants').select('id').where('id', '=', id).forUpdate().execute();
    const ended = db
      .transaction()
      .execute((other) => endSessions(other, { sequence, now }, who, { kinds: ['offline'], living: [] }));
    await waitsForLock(query, ended);
    at.later(30);
    return { ending: ended };
  });
  expect(await ending).toEqual([id]);
  const [row] = await query<{ target: string }>('select target from revocations where target_key = $1', [
    `grant ${id}`,
  ]);
  const { before } = JSON.parse(row?.target ?? '') as { before: number };
  expect(before).toBeGreaterThan(now().getTime() / 1_000);
});

test('a logout of one session and the end of all of them at once never wait for each other both', async () => {
  const { db, query, sequence, now } = at;
  await at.grants(8, { idleSeconds: null });
  const rows = await query<{ id: string; session: string }>('select id, session from grants order by session desc');
  const person = { issuer: at.issuer, sub: 'alice', tenants: null };
  const sessionIds = rows.map(({ session }) => session).toSorted();
  const ending = { kinds: ['offline' as const], living: [] };
  const { all } = await db.transaction().execute(async (logout) => {
    await logout.selectFrom('grants').select('id').where('id', '=', rows[0]!.id).forUpdate().execute();
    const everything = db
      .transaction()
      .execute((other) => endSessions(other, { sequence, now }, { ...person, sessionIds }, ending));
    await waitsForLock(query, everything);
    await endSessions(logout, { sequence, now }, { ...person, sessionIds: [rows[0]!.session] }, ending);
    return { all: everything };
  });
  expect((await all).length).toBe(7);
});
