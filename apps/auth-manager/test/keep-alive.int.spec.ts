import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRegistry, silentLogger } from '@postern/runtime';
import { sql } from 'kysely';
import { freshGrants, OTHER, type FreshGrants } from './fresh-grants.ts';
import { countGrants, keepAliveMetrics } from '../src/keep-alive/keep-alive-metrics.ts';
import { openKeepAlive } from '../src/keep-alive/keep-alive.ts';

// The provider is scripted at its port, so that weeks pass in seconds; database, keys, locks and journal are real.

let at: FreshGrants;
beforeAll(async () => {
  at = await freshGrants();
});
afterAll(() => at.close());

const DAY = 86_400;
const keeper = (provider: FreshGrants['provider'], other = provider) => {
  const { refreshing } = at.replica(provider, { other });
  return openKeepAlive({ db: at.db, keep: refreshing.keep, logger: silentLogger(), now: at.now });
};
/** Every minute a round, for so long. */
async function live(round: () => Promise<number>, seconds: number): Promise<number[]> {
  const minutes: number[] = [];
  for (let passed = 0; passed < seconds; passed += 60) {
    at.later(60);
    let kept = await round();
    // Seconds pass within the minute where a backlog is worked off.
    for (let more = kept; more > 0 && kept < 600; kept += more) more = await round();
    minutes.push(kept);
  }
  return minutes;
}

test('grants that nobody uses are refreshed before they die idle, evenly, one that is used is left alone', async () => {
  const ids = await at.grants(60, { idleSeconds: 2 * 3_600 });
  const provider = at.scripted('rotates');
  const minutes = await live(keeper(provider.calls), 3_600 + 60);
  expect(minutes.reduce((sum, one) => sum + one, 0)).toBeGreaterThanOrEqual(60);
  const asked = new Map<string, number>();
  for (const token of provider.sent) asked.set(token, (asked.get(token) ?? 0) + 1);
  // No token was ever sent twice, and each grant's was sent in its period.
  expect([...asked.values()].every((times) => times === 1)).toBe(true);
  const rows = await at.query<{ oldest: Date }>('select min(confirmed_at) as oldest from grants where id = any($1)', [
    ids,
  ]);
  expect(at.now().getTime() - rows[0]!.oldest.getTime()).toBeLessThanOrEqual(3_660_000);
});

test('a provider that is down is left alone, and no other; its grants wait their turn, and all are kept once it is back', async () => {
  await at.clear();
  const due = { idleSeconds: 2 * 3_600, confirmedSecondsAgo: 3_600 };
  const ids = await at.grants(30, due);
  await at.grants(5, { ...due, provider: OTHER });
  const [down, other] = [at.scripted('down'), at.scripted('keeps')];
  const round = keeper(down.calls, other.calls);
  at.later(60);
  for (let second = 0; second < 30; second++) {
    await round();
    at.later(1);
  }
  // The breaker opened after five failures; a few were under way.
  expect(down.tried()).toBeLessThanOrEqual(10);
  expect(new Set(other.sent).size).toBe(5);
  const up = at.scripted('keeps');
  const again = keeper(up.calls);
  await live(again, 900);
  const late = await at.query('select 1 from grants where id = any($1) and (due_at <= $2 or tries > 0)', [
    ids,
    at.now(),
  ]);
  expect(late).toEqual([]);
});

test('what one tenant’s grants fail by at a provider keeps no other tenant’s waiting there', async () => {
  await at.clear();
  const due = { idleSeconds: 2 * 3_600, confirmedSecondsAgo: 3_600 };
  // Older, and many: of a tenant that has disabled its registration, say.
  const failing = await at.grants(30, { ...due, confirmedSecondsAgo: 7_200, tenant: 'globex' });
  const ids = await at.grants(5, due);
  const away = new Set(failing.map((id) => `token of ${id}`));
  const keeps = at.scripted('keeps');
  const refresh: FreshGrants['provider']['refresh'] = async (token, beforeWriting) =>
    away.has(token.reveal()) ? { kind: 'not_sent' } : keeps.calls.refresh(token, beforeWriting);
  const round = keeper({ ...keeps.calls, refresh });
  at.later(60);
  for (let second = 0; second < 10; second++) {
    await round();
    at.later(1);
  }
  expect(keeps.sent.toSorted()).toEqual(ids.map((id) => `token of ${id}`).toSorted());
});

test('429 with Retry-After: nobody is asked before that time', async () => {
  await at.clear();
  await at.grants(10, { idleSeconds: 2 * 3_600, confirmedSecondsAgo: 3_600 });
  const busy = at.scripted('busy', { retryAfterSeconds: 120 });
  const round = keeper(busy.calls);
  at.later(60);
  await round();
  const asked = busy.tried();
  expect(asked).toBeLessThanOrEqual(3);
  for (let second = 0; second < 110; second += 10) {
    await round();
    at.later(10);
  }
  expect(busy.tried()).toBe(asked);
});

test('a pause holds for its tenant at its provider alone, and ends', async () => {
  await at.clear();
  const due = { idleSeconds: 2 * 3_600, confirmedSecondsAgo: 3_600 };
  await at.grants(5, due);
  await at.grants(3, { ...due, provider: OTHER });
  const [provider, other] = [at.scripted('keeps'), at.scripted('keeps')];
  const round = keeper(provider.calls, other.calls);
  const [another] = await at.grants(1, due);
  await at.query("update grants set tenant = 'globex' where id = $1", [another]);
  const pause = "insert into tenant_pauses (tenant, provider, paused_at, paused_by) values ('acme', $1, now(), 'ada')";
  await at.query(pause, [at.issuer]);
  at.later(120);
  await round();
  // The other tenant's has had its turn, which fails only because its token is sealed for the first.
  expect([provider.tried(), other.tried()]).toEqual([0, 3]);
  const turned = await at.query<{ id: string }>('select id from grants where tries > 0', []);
  expect(turned).toEqual([{ id: another }]);
  await at.query('delete from tenant_pauses', []);
  expect(await round()).toBeGreaterThan(0);
});

test('a grant that the provider no longer knows is marked, and not asked about again', async () => {
  await at.clear();
  const [id] = await at.grants(1, { idleSeconds: 2 * 3_600, confirmedSecondsAgo: 3_600 });
  const gone = at.scripted('refuses');
  const round = keeper(gone.calls);
  at.later(60);
  await round();
  at.later(DAY);
  await round();
  expect(gone.tried()).toBe(1);
  const [row] = await at.query<{ state: string }>('select state from grants where id = $1', [id]);
  expect(row?.state).toBe('reauthorization_required');
});

test('R11: who needs the provider’s word is not content with a round that finds nothing due', async () => {
  await at.clear();
  const [id = ''] = await at.grants(1, { idleSeconds: null, confirmedSecondsAgo: 3_600 });
  await at.query('update grants set due_at = $2 where id = $1', [id, new Date(at.now().getTime() + DAY * 1_000)]);
  const provider = at.scripted('keeps');
  const { refreshing, confirm } = at.replica(provider.calls);
  const lock = sql`select pg_advisory_lock(20, hashtext(${id}))`;
  // Another replica has the grant, so that the round waits and the user comes meanwhile.
  const both = await at.db.connection().execute(async (other) => {
    await lock.execute(other);
    const waiting = [refreshing.keep({ id, provider: at.issuer }), confirm(id)];
    await sql`select pg_advisory_unlock(20, hashtext(${id}))`.execute(other);
    return Promise.all(waiting);
  });
  expect(both).toEqual([{ refreshed: false }, { refreshed: true }]);
});

test('the health of grants is told as metrics, by provider', async () => {
  await at.clear();
  const [lost] = await at.grants(3, { idleSeconds: 2 * 3_600, confirmedSecondsAgo: 7_200 });
  await at.grants(2, { idleSeconds: null, provider: OTHER });
  await at.query("update grants set state = 'reauthorization_required' where id = $1", [lost]);
  const registry = createRegistry('spec');
  await countGrants(at, keepAliveMetrics(registry));
  const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('postern_grants'));
  expect(lines.map((line) => line.replace(/,?service="spec"/, '')).toSorted()).toEqual([
    `postern_grants_overdue{provider="${at.issuer}"} 2`,
    `postern_grants_overdue{provider="${OTHER}"} 0`,
    `postern_grants{provider="${at.issuer}",state="active"} 2`,
    `postern_grants{provider="${at.issuer}",state="reauthorization_required"} 1`,
    `postern_grants{provider="${OTHER}",state="active"} 2`,
  ]);
});

test('R20: after a restore each grant is asked about before its first use, and an old token is never sent', async () => {
  await at.clear();
  const [living, dead] = await at.grants(2, { idleSeconds: null });
  await at.query("update restores set marker = 'another cluster'", []);
  at.later(1);
  const provider = at.scripted('keeps', { inactive: [`token of ${String(dead)}`] });
  const { confirm } = at.replica(provider.calls);
  expect(await confirm(living!)).toEqual({ refreshed: false });
  await expect(confirm(dead!)).rejects.toMatchObject({ code: 'reauthorization_required' });
  expect(provider.asked).toEqual([`token of ${String(living)}`, `token of ${String(dead)}`]);
  expect(provider.sent).toEqual([]);
  // Once is enough.
  await confirm(living!);
  expect(provider.asked).toHaveLength(2);
  at.later(3_600);
  expect(await confirm(living!)).toEqual({ refreshed: true });
  expect(provider.sent).toEqual([`token of ${String(living)}`]);
});
