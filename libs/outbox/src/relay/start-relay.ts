import { setTimeout as sleep } from 'node:timers/promises';
import { signAsWorkload, type TlsMaterial } from '@postern/mtls';
import { withLease, type Term } from '@postern/postgres';
import { systemNow, type Logger, type Now, type Registry } from '@postern/runtime';
import type { Bus } from '@postern/bus';
import { AUDIT_QUEUE, BATCH_TYPE, joinBatch, type AuditJob, type Watermark } from '@postern/audit';
import type { OutboxPostgres } from '../open-audit.ts';
import { clusterOf, findProducer, openEpoch, type EpochCause } from './epochs.ts';
import { fetchWatermark, type Sink } from './fetch-watermark.ts';
import { hashAt, manifestOf, readBatch, type NumberedBatch } from './batch-rows.ts';
import { hasUnnumbered, numberEvents, type ProducerState } from './number-events.ts';
import { relayMetrics } from './relay-metrics.ts';
import { judgeWatermark, treeSizeOf, WitnessAlarm, type Witness } from './witness.ts';
import { forgetHeld, keepWitness, readWitness } from './witness-row.ts';

export type RelayOptions = {
  postgres: Pick<OutboxPostgres, 'pool'>;
  /** The service's name, as in its certificate. */
  producer: string;
  bus: Pick<Bus, 'queue'>;
  /** The workload's own certificate: batches are signed with its key. */
  tls: Pick<TlsMaterial, 'current'>;
  sink: Sink;
  logger: Logger;
  metrics?: Registry;
  now?: Now;
  /**
   * How long an event stays after the log holds it: longer than the interval between the log's backups, so that a restored
   * log can be filled again. Default one hour.
   */
  keepForSeconds?: number;
  /** The log's verifier key, where the operator pins it. Otherwise the first one seen over mTLS is kept. */
  logKey?: string;
};

export type Relay = { close(): Promise<void> };

/** Between two looks at the outbox. What comes meanwhile shares one number transaction, signature, job and append. */
const GATHER_MS = 500;
const FOLLOW_MS = 1_000;
/** How often the log is asked while it holds less than was sent, and while it holds everything. */
const ASK_BUSY_MS = 500;
const ASK_IDLE_MS = 30_000;
/** Entries that may be under way. The watermark moves the window, so a sink that is away does not fill Redis. */
const WINDOW = 20_000;
/** Without progress for so long, what was sent is sent again; doubled each time. */
const RESEND_MS = 3_000;
const RESEND_MAX_MS = 60_000;

/**
 * Carries events from the outbox to the log: numbers them (R22), signs and sends batches (R26), asks the log how far it holds
 * them, judges the answer as a witness (R27), deletes what is provably held (R21), and sends again what is not. Any number
 * of replicas may run it; one works, another takes over within seconds of its end.
 */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const { postgres, producer, logger } = options;
  const stop = new AbortController();

  const run = async () => {
    while (!stop.signal.aborted) {
      try {
        await withLease(postgres.pool, `audit relay ${producer}`, (term) => lead(options, term, stop.signal));
      } catch (err) {
        if (!stop.signal.aborted) logger.warn({ err, producer }, 'the audit relay starts again');
      }
      await pause(FOLLOW_MS, stop.signal);
    }
  };
  const running = run();
  return {
    async close() {
      stop.abort();
      await running;
    },
  };
}

async function lead(options: RelayOptions, term: Term, stop: AbortSignal): Promise<void> {
  const { producer, bus, tls, sink, logger, metrics: registry, now = systemNow, keepForSeconds = 3_600 } = options;
  const { client } = term;
  const queue = bus.queue(AUDIT_QUEUE);
  const cluster = await clusterOf(client);
  let state: ProducerState = await findProducer(client, producer, cluster);
  let seen: Witness | null = await readWitness(client, producer);
  const heldSeq = () => (seen?.epoch === state.epoch ? seen.seq : 0);
  let sent = heldSeq();
  let progressAt = Date.now();
  let resendMs = RESEND_MS;
  let askedAt = 0;
  /** How far the log holds our events under a checkpoint that is published elsewhere (R27): so far they may be forgotten. */
  let published = null as { epoch: number; seq: number } | null;
  let resentAt = 0;
  const gauges = relayMetrics(registry);

  const startEpoch = async (held: { epoch: number; seq: number; hash: string | null }, cause: EpochCause) => {
    const hash = held.hash === null ? new Uint8Array(32) : Buffer.from(held.hash, 'base64url');
    const agreed = { epoch: seen?.epoch ?? 0, seq: seen?.seq ?? 0 };
    const at = { epoch: held.epoch, seq: held.seq, hash };
    state = await openEpoch(client, { producer, cluster, held: at, agreed, cause, now: now() });
    sent = 0;
    logger.error({ producer, epoch: String(state.epoch), reason: cause }, 'the producer opened a new epoch');
  };

  const jobOf = (numbered: NumberedBatch): AuditJob => {
    const manifest = signAsWorkload(BATCH_TYPE, JSON.stringify(manifestOf(producer, numbered)), tls.current());
    return { v: 2, batch: joinBatch(manifest, numbered.content) };
  };

  const send = async (made: NumberedBatch | null) => {
    while (!stop.aborted && sent < state.seq && sent - heldSeq() < WINDOW) {
      const inHand = made?.epoch === state.epoch && made.first === sent + 1;
      const next = inHand ? made : await readBatch(client, { epoch: state.epoch, seq: sent });
      if (!next) return;
      await queue.add(jobOf(next));
      sent = next.last;
    }
  };

  /** A log that was restored asks for events whose leaves it has: what is kept of them is sent again (R27). */
  const resend = async (from: { epoch: number; seq: number }) => {
    if (Date.now() - resentAt < RESEND_MS) return;
    resentAt = Date.now();
    let at = { epoch: from.epoch, seq: from.seq - 1 };
    for (let entries = 0; at.epoch <= state.epoch && entries < WINDOW && !stop.aborted;) {
      const next = await readBatch(client, at);
      if (next) {
        await queue.add(jobOf(next));
        entries += next.last - next.first + 1;
      }
      at = next ? { epoch: at.epoch, seq: next.last } : { epoch: at.epoch + 1, seq: 0 };
    }
  };

  /** Alarms are told; only where numbers differ can this side do something: give new ones, in a new epoch. */
  const judge = async (answer: Watermark, own: Uint8Array | undefined) => {
    try {
      if (options.logKey !== undefined && answer.key !== options.logKey) throw new WitnessAlarm('log_key_changed');
      return judgeWatermark(answer, seen, producer, own);
    } catch (err) {
      if (!(err instanceof WitnessAlarm)) throw err;
      gauges?.alarms.inc({ reason: err.reason });
      logger.error({ producer, reason: err.reason }, 'the log contradicts what was seen of it');
      askedAt = Date.now() + ASK_IDLE_MS;
      if (err.reason === 'entry_differs') return 'differs';
      throw err;
    }
  };

  const ask = async () => {
    askedAt = Date.now();
    const answer = await fetchWatermark(sink, producer, seen ? treeSizeOf(seen.checkpoint) : 0);
    const own = await hashAt(client, { producer, epoch: answer.epoch, seq: answer.seq });
    const ahead = answer.epoch > state.epoch || (answer.epoch === state.epoch && answer.seq > state.seq);
    // A log that holds what we never numbered: this database is older than that. Numbers given here cannot be trusted.
    if (ahead) return startEpoch(answer, 'log_ahead');
    const before = heldSeq();
    const judged = await judge(answer, own);
    if (judged === 'differs') return startEpoch(answer, 'log_differs');
    if (judged) await keepWitness(client, producer, judged);
    seen = judged;
    // Another Postgres than before, with the log no further than we know: what it does not hold gets new numbers.
    if (state.cluster !== cluster) return startEpoch(answer, 'cluster_changed');
    if (!seen) return;
    if (heldSeq() > before) {
      progressAt = Date.now();
      resendMs = RESEND_MS;
      sent = Math.max(sent, heldSeq());
    }
    if (answer.resend) await resend(answer.resend);
    const outside = answer.published ?? null;
    if (outside === null || (answer.index ?? 0) < outside) published = { epoch: seen.epoch, seq: seen.seq };
    // What is wanted again is not forgotten.
    if (!published || answer.resend) return;
    while ((await forgetHeld(client, published, keepForSeconds)) > 0 && !stop.aborted);
  };

  while (!stop.aborted && !term.over()) {
    const reconciled = state.cluster === cluster;
    const {
      made,
      more,
      state: after,
    } = reconciled && (await hasUnnumbered(client))
      ? await numberEvents(client, producer)
      : { made: null, more: false, state };
    // Another relay opened an epoch meanwhile: what it numbered is sent from the start of that epoch.
    if (after.epoch !== state.epoch) sent = 0;
    state = after;
    await send(made).catch((err: unknown) => {
      if (term.over()) throw err;
      logger.warn({ err, producer, peer: 'redis-bus' }, 'events could not be sent');
    });
    const outstanding = state.seq > heldSeq() || !reconciled;
    // What is held and not published yet is asked for as often: it is published within moments.
    const unpublished = published?.seq !== seen?.seq || published?.epoch !== seen?.epoch;
    if (Date.now() - askedAt >= (outstanding || unpublished ? ASK_BUSY_MS : ASK_IDLE_MS)) {
      await ask().catch((err: unknown) => {
        if (term.over()) throw err;
        if (err instanceof WitnessAlarm) return;
        logger.warn({ err, producer, peer: 'audit-sink' }, 'the log did not say how far it holds events');
      });
    }
    if (!outstanding) progressAt = Date.now();
    if (Date.now() - progressAt > resendMs) {
      sent = heldSeq();
      progressAt = Date.now();
      resendMs = Math.min(resendMs * 2, RESEND_MAX_MS);
    }
    gauges?.outstanding.set(state.seq - heldSeq());
    gauges?.stalled.set(outstanding ? (Date.now() - progressAt) / 1_000 : 0);
    if (!more) await pause(GATHER_MS, stop);
  }
}

/** Waits, or returns early when the relay stops. */
const pause = (ms: number, stop: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal: stop }).catch(() => undefined);
