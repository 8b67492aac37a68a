import { expect, test } from '@jest/globals';
import { type AuditEvent } from '@postern/audit';
import { reconcileIntents } from '../../src/index.ts';
import { event } from '../fixture.ts';
import { at, audit, logger } from './scene.ts';

/** Intents, and their outcomes (R23). */
export function intents(): void {
  const intent = () => event({ action: 'secret.created', outcome: 'intent', details: { provider: 'aws' } });
  const stillOpen = async () =>
    (await at.postgres.query<{ id: string }>('select id from audit_intents')).map(({ id }) => id);
  const outcomes = async () =>
    (
      await at.postgres.query<{ e: AuditEvent }>(`select convert_from(canonical, 'UTF8')::json as e from audit_outbox`)
    ).flatMap(({ e }) => (e.intent ? [{ intent: e.intent, outcome: e.outcome, reason: e.reason }] : []));

  test('an intent stands open until its outcome is recorded, by whichever way (R23)', async () => {
    const [one, two] = [intent(), intent()];
    await Promise.all([audit.commit(one), audit.commit(event()), audit.commit(two)]);
    expect((await stillOpen()).sort()).toEqual([one.id, two.id].sort());
    const done = { action: 'secret.created', outcome: 'success', details: { provider: 'aws' } } as const;
    await audit.commit({ ...event(done), intent: one.id });
    expect(await stillOpen()).toEqual([two.id]);
    await at.postgres.db.transaction().execute((tx) => audit.within(tx, { ...event(done), intent: two.id }));
    expect(await stillOpen()).toEqual([]);
  });

  test('what a dead process left open is asked for where it happened, else reported as unknown; replicas do it once (R23)', async () => {
    const left = [intent(), intent(), event({ action: 'grant.revoked', outcome: 'intent', details: { cause: 'x' } })];
    await Promise.all(left.map((one) => audit.commit(one)));
    await at.postgres.query("update audit_intents set opened_at = now() - interval '1 hour'");
    const fresh = intent();
    await audit.commit(fresh);
    const asked: string[] = [];
    const settle = () =>
      reconcileIntents({
        postgres: at.postgres,
        logger,
        reconcilers: {
          async 'secret.created'({ id, details }) {
            asked.push(id);
            if (id === left[1]!.id) return null;
            return { outcome: 'success', details };
          },
        },
      });
    await Promise.all([settle(), settle()]);
    expect(asked.sort()).toEqual([left[0]!.id, left[1]!.id].sort());
    expect((await stillOpen()).sort()).toEqual([left[1]!.id, fresh.id].sort());
    expect((await outcomes()).sort((a, b) => (a.outcome < b.outcome ? 1 : -1))).toEqual([
      { intent: left[0]!.id, outcome: 'success', reason: undefined },
      { intent: left[2]!.id, outcome: 'failed', reason: 'outcome_unknown' },
    ]);
    await at.postgres.query('delete from audit_intents');
  });

  test('an intent of an event that is not known here, as of a newer release, keeps no other waiting, and stays (R23)', async () => {
    const [newer, known] = [intent(), intent()];
    for (const one of [newer, known]) await audit.commit(one);
    await at.postgres.query(
      `update audit_intents set opened_at = now() - interval '1 hour' - case id when $1 then interval '1 hour' else interval '0' end,
       event = case id when $1 then convert_to(replace(convert_from(event, 'UTF8'), 'secret.created', 'secret.unheard_of'), 'UTF8') else event end`,
      [newer.id],
    );
    await reconcileIntents({ postgres: at.postgres, logger });
    expect(await stillOpen()).toEqual([newer.id]);
    expect(await outcomes()).toContainEqual({ intent: known.id, outcome: 'failed', reason: 'outcome_unknown' });
    await at.postgres.query('delete from audit_intents');
  });
}
