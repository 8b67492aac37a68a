import { auditEvent, newEvent, packEntries, type AuditEvent } from '@postern/audit';
import { Counter, systemNow, type Logger, type Now, type Registry } from '@postern/runtime';
import type pg from 'pg';
import { pendingEvent } from '../pending.ts';
import { inTransaction } from './in-transaction.ts';

/** What became of an effect; null where that cannot be found out yet: it is asked again. */
export type Settlement = Pick<AuditEvent, 'outcome' | 'reason' | 'details'> | null;

/**
 * Finds out, where the effect happened, what became of an intent; its id is the idempotency key of the effect. What it
 * throws leaves the intent open until the next round.
 */
export type Reconcilers = Readonly<Record<string, (intent: AuditEvent) => Promise<Settlement>>>;

export type ReconcileOptions = {
  postgres: { pool: Pick<pg.Pool, 'connect'> };
  reconcilers?: Reconcilers;
  logger: Logger;
  metrics?: Registry;
  now?: Now;
  /** An intent this old is of a process that died: no effect takes so long. Default 15 minutes. */
  openForSeconds?: number;
};

const PER_ROUND = 50;

/**
 * Settles intents whose outcome was never recorded (R23): asks where the effect happened, or, where nobody can be asked,
 * records that the outcome is unknown. Outcome and end of the intent are one transaction; replicas share the work.
 */
export async function reconcileIntents(options: ReconcileOptions): Promise<void> {
  const { postgres, logger, now = systemNow } = options;
  const counted = intentMetrics(options.metrics);
  const client = await postgres.pool.connect();
  let broken = true;
  try {
    for (let i = 0; i < PER_ROUND; i += 1) {
      const settled = await inTransaction(client, () => settleOne(client, options, now()));
      if (settled === null) break;
      counted?.inc({ result: settled });
      logger.warn({ outcome: settled }, 'an effect was left without an outcome by a process that ended');
    }
    broken = false;
  } finally {
    client.release(broken);
  }
}

async function settleOne(
  client: pg.ClientBase,
  { reconcilers = {}, openForSeconds = 900, logger }: ReconcileOptions,
  now: Date,
): Promise<string | null> {
  const { rows } = await client.query<{ id: string; event: Buffer }>(
    `select id, event from audit_intents where opened_at < now() - make_interval(secs => $1)
     order by opened_at limit 1 for update skip locked`,
    [openForSeconds],
  );
  const [row] = rows;
  if (!row) return null;
  // Later again, after the others.
  const leave = async () => {
    await client.query('update audit_intents set opened_at = now() where id = $1', [row.id]);
    return 'open';
  };
  const read = auditEvent.safeParse(JSON.parse(row.event.toString('utf8')));
  if (!read.success) {
    // While two releases run side by side, the newer one's may be unknown here: it is left to who knows it.
    logger.warn({ id: row.id }, 'an intent is of no event that is known here');
    return leave();
  }
  const intent = read.data;
  const ask = Object.hasOwn(reconcilers, intent.action) ? reconcilers[intent.action] : undefined;
  const settlement: Settlement = ask
    ? await ask(intent).catch((err: unknown) => {
        logger.warn({ err, action: intent.action }, 'it could not be found out what became of an effect');
        return null;
      })
    : { outcome: 'failed', reason: 'outcome_unknown', details: intent.details };
  if (!settlement) return leave();
  const { id: _id, time: _time, v: _v, outcome: _outcome, ...rest } = intent;
  const outcome = pendingEvent(newEvent({ ...rest, ...settlement, intent: intent.id }, now));
  await client.query('insert into audit_groups (id, count, body) values ($1, 1, $2)', [
    outcome.id,
    packEntries([outcome]),
  ]);
  await client.query('delete from audit_intents where id = $1', [row.id]);
  return settlement.reason ?? settlement.outcome;
}

function intentMetrics(registry: Registry | undefined) {
  if (!registry) return null;
  const name = 'postern_audit_intents_settled_total';
  return (
    (registry.getSingleMetric(name) as Counter<'result'> | undefined) ??
    new Counter({
      name,
      help: 'Effects that a process left without an outcome, by what was recorded.',
      labelNames: ['result'] as const,
      registers: [registry],
    })
  );
}
