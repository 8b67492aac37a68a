import { auditJob, newEvent } from '@postern/audit';
import { JobRefused } from '@postern/bus';
import type { TlsMaterial, WorkloadTable } from '@postern/mtls';
import type { Audit } from '@postern/outbox';
import type { Query } from '@postern/postgres';
import type { Logger, Now, Registry } from '@postern/runtime';
import type { Appender } from '../log/appender.ts';
import { hold, takeHeld } from './held-batches.ts';
import { intakeMetrics } from './intake-metrics.ts';
import { createQuarantine } from './quarantine.ts';
import { BatchForged, verifyBatch, type SignedBatch } from './verify-batch.ts';

export type ConsumeDeps = {
  query: Query;
  append: Appender;
  tls: Pick<TlsMaterial, 'current'>;
  workloads: WorkloadTable;
  audit: Pick<Audit, 'commit'>;
  logger: Logger;
  metrics: Registry;
  now: Now;
};

/** A batch that waited is not the job's own: what was refused of it is quarantined, and the job is done. */
const toldAlready = (error: unknown): void => {
  if (!(error instanceof JobRefused)) throw error;
};

/** Alarms of one kind about one thing are raised once by a process: by one that was flooded with others, again. */
const ALARMS_REMEMBERED = 1_000;

/**
 * What happens to a job of a producer's queue: signature, chain and size first, then its place in the sequence, then its
 * content (R25); what is signed and in place is appended.
 */
export function createConsumer(deps: ConsumeDeps) {
  const { query, append, tls, workloads, audit, logger, now } = deps;
  const metrics = intakeMetrics(deps.metrics);
  const quarantine = createQuarantine(query, now);
  const raised = new Set<string>();

  const open = async (payload: unknown, from: string): Promise<{ signed: SignedBatch; jws: string }> => {
    const job = auditJob.safeParse(payload);
    if (!job.success) throw new BatchForged('job_shape');
    const jws = job.data.batch;
    return { signed: verifyBatch(jws, { from, anchors: tls.current().ca, workloads, now: now() }), jws };
  };

  const alarm = async (kind: string, about: string) => {
    metrics.alarms.inc({ kind });
    const name = `${kind} ${about}`;
    if (raised.has(name)) return;
    raised.add(name);
    const [oldest] = raised;
    if (raised.size > ALARMS_REMEMBERED && oldest !== undefined) raised.delete(oldest);
    logger.error({ kind, id: about }, 'alarm: the log was offered what cannot be');
    const actor = { workload: 'audit-sink' };
    const draft = {
      action: 'alarm.raised',
      outcome: 'success',
      tenant: null,
      actor,
      details: { kind, about },
    } as const;
    await audit.commit(newEvent(draft, now())).catch((error: unknown) => {
      // It was not recorded: the job comes again, and it with it.
      raised.delete(name);
      throw error;
    });
  };

  const settle = async (signed: SignedBatch, jws: string): Promise<void> => {
    const { producer, epoch, first } = signed.batch;
    const appended = await append(signed, now());
    metrics.batches.inc({ result: appended.result, producer });
    if (appended.result === 'epoch_closed' || appended.result === 'certificate_withdrawn') {
      throw new BatchForged(appended.result);
    }
    if (appended.result === 'gap') return hold(query, { producer, epoch, first }, jws);
    if (appended.result === 'fork') {
      await alarm('sequence_fork', `${producer}/${epoch}/${appended.at}`);
      throw new JobRefused('sequence_fork');
    }
    // Also of what stands: whoever appended it may have ended before the alarm.
    if (appended.result === 'known' && appended.opaque > 0)
      await alarm('opaque_entry', `${producer}/${epoch}/${first}`);
    if (appended.result === 'refilled') metrics.refilled.inc({ producer }, appended.entries);
    if (appended.result !== 'appended') return;
    metrics.entries.inc({ producer }, appended.entries);
    metrics.size.set(appended.size);
    if (appended.opaque > 0) {
      metrics.opaque.inc({ producer }, appended.opaque);
      await alarm('opaque_entry', `${producer}/${epoch}/${first}`);
    }
  };

  /** @throws JobRefused for what no producer of ours signed, or signed with what is closed (R26) */
  const take = async (payload: unknown, from: string): Promise<void> => {
    try {
      const { signed, jws } = await open(payload, from);
      await settle(signed, jws);
    } catch (error) {
      if (!(error instanceof BatchForged)) throw error;
      metrics.forged.inc({ reason: error.reason });
      logger.warn({ queue: from, reason: error.reason }, 'a forged job was dropped');
      await quarantine({ queue: from, reason: error.reason, payload });
      throw new JobRefused(error.reason);
    }
  };

  return async (payload: unknown, from: string): Promise<void> => {
    await take(payload, from);
    // What waited for this one. Held batches are verified anew: the certificate may have ended while they waited.
    for (let jws = await takeHeld(query, from); jws !== null; jws = await takeHeld(query, from)) {
      await take({ v: 2, batch: jws }, from).catch(toldAlready);
    }
  };
}
