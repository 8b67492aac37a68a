import { newEvent, type AuditEvent } from '@postern/audit';
import type { Issuer } from '@postern/issuer';
import type { MtlsAgent } from '@postern/mtls';
import type { Logger } from '@postern/runtime';
import type { Kysely, Transaction } from 'kysely';
import { request } from 'undici';
import type { Schema } from '../db/schema.ts';

export type CloseLogs = {
  db: Kysely<Schema>;
  recordWithin: (tx: Transaction<Schema>, event: AuditEvent) => Promise<void>;
  issuer: Pick<Issuer, 'mint'>;
  /** audit-sink's api listener, over this service's certificate. */
  sink: { url: string; dispatcher: MtlsAgent };
  logger: Pick<Logger, 'warn'>;
  now: () => Date;
};

/** `closed`, or `none` for a workload that writes no log of its own; `waiting` where audit-sink has not answered yet. */
export type LogState = 'closed' | 'none' | 'waiting';

const TIMEOUT_MS = 5_000;
const TOKEN_LIFE_SECONDS = 60;

type Row = Schema['compromised_workloads'];

/** Asks audit-sink to take nothing more from a compromised producer (R26); asked again it answers the same. */
export async function closeLog(deps: CloseLogs, name: string): Promise<LogState> {
  const { db, recordWithin, logger, now } = deps;
  const held = await db.selectFrom('compromised_workloads').selectAll().where('name', '=', name).executeTakeFirst();
  if (!held) return 'waiting';
  const status = await asked(deps, held);
  const closed = status === 200;
  // 400 and 404: audit-sink knows no such producer.
  if (!closed && status !== 400 && status !== 404) {
    logger.warn({ status, workload: name }, 'audit-sink has not closed an epoch; it is asked again');
    return 'waiting';
  }
  await db.transaction().execute(async (tx) => {
    const changed = await tx
      .updateTable('compromised_workloads')
      .set({ log_closed_at: now() })
      .where('name', '=', name)
      .where('log_closed_at', 'is', null)
      .returning('name')
      .executeTakeFirst();
    if (!changed) return;
    const what = {
      action: 'workload.log_closed' as const,
      outcome: 'success' as const,
      tenant: null,
      actor: { workload: 'token-exchange' },
      resource: { type: 'workload', id: name },
      details: { workload: name, producer: closed },
    };
    await recordWithin(tx, newEvent(what, now()));
  });
  return closed ? 'closed' : 'none';
}

/** The status of audit-sink's answer; 503 where there is none. */
async function asked({ issuer, sink, logger }: CloseLogs, { name, tenant }: Row): Promise<number> {
  try {
    // R5: a token of this one job, for the tenant of the operator who gave the order.
    const claims = {
      sub: 'token-exchange',
      client_id: 'token-exchange',
      aud: 'audit-sink',
      tenant,
      scope: 'log:operate',
      roles: ['operator'],
      job: `close-log ${name}`,
    };
    const binding = { kind: 'certificate' as const, thumbprint: sink.dispatcher.thumbprint() };
    const { token } = await issuer.mint('at+jwt', claims, { lifetimeSeconds: TOKEN_LIFE_SECONDS, binding });
    const { statusCode, body } = await request(`${sink.url}/v1/log/producers/${encodeURIComponent(name)}/close`, {
      method: 'POST',
      dispatcher: sink.dispatcher,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ reason: 'workload_compromised' }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await body.dump();
    return statusCode;
  } catch (err) {
    logger.warn({ err, workload: name }, 'audit-sink was not reached to close an epoch');
    return 503;
  }
}

/** What is still to be closed: a round of the worker. */
export async function closeLogs(deps: CloseLogs): Promise<void> {
  const rows = await deps.db
    .selectFrom('compromised_workloads')
    .select('name')
    .where('log_closed_at', 'is', null)
    .limit(50)
    .execute();
  for (const { name } of rows) await closeLog(deps, name);
}
