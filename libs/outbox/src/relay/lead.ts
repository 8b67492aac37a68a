import { setTimeout as sleep } from 'node:timers/promises';
import type { Watermark } from '@postern/audit';
import type { Term } from '@postern/postgres';
import { systemNow } from '@postern/runtime';
import { hashAt, type NumberedBatch } from './batch-rows.ts';
import { clusterOf, findProducer, openEpoch, type EpochCause } from './epochs.ts';
import { fetchWatermark } from './fetch-watermark.ts';
import { createKeptMarks } from './kept-marks.ts';
import { hasUnnumbered, numberEvents, type ProducerState } from './number-events.ts';
import type { NewEvents } from '../new-events.ts';
import { relayMetrics, waitingEvents } from './relay-metrics.ts';
import { sendAgain, sendOutstanding, type Place } from './send-batches.ts';
import type { RelayOptions } from './relay-options.ts';
import { judgeWatermark, treeSizeOf, WitnessAlarm, type Witness } from './witness.ts';
import { forgetHeld, keepWitness, readWitness } from './witness-row.ts';

/**
 * Between two looks at the outbox, for events of other processes. Those of this one are told and taken at once, but not so soon
 * after a batch: what comes meanwhile shares one number transaction, signature, job and append. Where many come, more of them do.
 */
const LOOK_MS = 500;
const GATHER_MS = { least: 200, anEvent: 1, most: LOOK_MS };
/** How often the log is asked while it holds less than was sent, and while it holds everything. */
const ASK_BUSY_MS = 500;
const ASK_IDLE_MS = 30_000;
/** Entries that may be under way. The watermark moves the window, so a sink that is away does not fill Redis. */
const WINDOW = 20_000;
/** Without progress for so long, what was sent is sent again; doubled each time. */
const RESEND_MS = 3_000;
const RESEND_MAX_MS = 60_000;

/** The work of the one relay of a producer, until its term is over. */
export async function lead(
  options: RelayOptions,
  term: Term,
  events: Pick<NewEvents, 'next'>,
  stop: AbortSignal,
): Promise<void> {
  const { producer, bus, tls, sink, logger, metrics: registry, now = systemNow, keepForSeconds = 3_600 } = options;
  const { client } = term;
  const sending = { client, producer, bus, tls };
  const cluster = await clusterOf(client);
  let state: ProducerState = await findProducer(client, producer, cluster);
  let seen: Witness | null = await readWitness(client, producer);
  const heldSeq = () => (seen?.epoch === state.epoch ? seen.seq : 0);
  let sent = heldSeq();
  let progressAt = Date.now();
  let resendMs = RESEND_MS;
  let askedAt = 0;
  const marks = createKeptMarks();
  let again: Place | null = null;
  let resentAt = 0;
  let told = false;
  const metrics = relayMetrics(registry);

  const startEpoch = async (held: { epoch: number; seq: number; hash: string | null }, cause: EpochCause) => {
    const hash = held.hash === null ? new Uint8Array(32) : Buffer.from(held.hash, 'base64url');
    const agreed = { epoch: seen?.epoch ?? 0, seq: seen?.seq ?? 0 };
    const at = { epoch: held.epoch, seq: held.seq, hash };
    state = await openEpoch(client, { producer, cluster, held: at, agreed, cause, now: now() });
    sent = 0;
    metrics?.epochs.inc({ cause });
    logger.error({ producer, epoch: String(state.epoch), reason: cause }, 'the producer opened a new epoch');
  };

  const send = async (made: NumberedBatch | null) => {
    if (again && seen) again = await sendAgain(sending, again, seen);
    const upTo = Math.min(state.seq, heldSeq() + WINDOW);
    await sendOutstanding(sending, { epoch: state.epoch, sent, upTo, made }, (last) => (sent = last));
  };

  /** Alarms are told; only where numbers differ can this side do something: give new ones, in a new epoch. */
  const judge = (answer: Watermark, own: Uint8Array | undefined) => {
    try {
      return judgeWatermark(answer, seen, producer, own, options.logKey);
    } catch (err) {
      if (!(err instanceof WitnessAlarm)) throw err;
      metrics?.alarms.inc({ reason: err.reason });
      logger.error({ producer, reason: err.reason }, 'the log contradicts what was seen of it');
      askedAt = Date.now() + ASK_IDLE_MS;
      if (err.reason === 'entry_differs') return 'differs';
      throw err;
    }
  };

  /** A log that was restored asks for contents whose leaves it has: what is kept is sent again until it asks no more (R27). */
  const heed = ({ resend, published, index, epoch, seq }: Watermark) => {
    if (resend && !again && Date.now() - resentAt > RESEND_MS) {
      again = { epoch: resend.epoch, seq: resend.seq - 1 };
      resentAt = Date.now();
      logger.warn({ producer }, 'the log asks for events again');
    }
    if (index !== null) marks.note({ epoch, seq, index }, published ?? null);
  };

  const ask = async () => {
    askedAt = Date.now();
    const answer = await fetchWatermark(sink, producer, seen ? treeSizeOf(seen.checkpoint) : 0);
    const own = await hashAt(client, { producer, epoch: answer.epoch, seq: answer.seq });
    const ahead = answer.epoch > state.epoch || (answer.epoch === state.epoch && answer.seq > state.seq);
    // A log that holds what we never numbered: this database is older than that. Numbers given here cannot be trusted.
    if (ahead) return startEpoch(answer, 'log_ahead');
    const before = heldSeq();
    const judged = judge(answer, own);
    if (judged === 'differs') return startEpoch(answer, 'log_differs');
    if (judged) await keepWitness(client, producer, judged);
    seen = judged;
    // Another Postgres than before, with the log no further than we know: what it does not hold gets new numbers.
    if (state.cluster !== cluster) return startEpoch(answer, 'cluster_changed');
    // An operator closed this epoch (R26): what the log does not hold of it goes on in the next, under another certificate.
    if (answer.closed && state.epoch <= answer.closed.epoch) return startEpoch(answer, 'closed');
    if (!seen) return;
    if (heldSeq() > before) {
      progressAt = Date.now();
      resendMs = RESEND_MS;
      sent = Math.max(sent, heldSeq());
    }
    heed(answer);
    // What is wanted again is not forgotten.
    const free = again || answer.resend ? null : marks.free();
    while (free && !stop.aborted && (await forgetHeld(client, free, keepForSeconds)) > 0);
  };

  while (!stop.aborted && !term.over()) {
    const reconciled = state.cluster === cluster;
    const numbered = reconciled && (await hasUnnumbered(client)) ? await numberEvents(client, producer) : null;
    if (numbered) {
      // Another relay opened an epoch meanwhile: what it numbered is sent from the start of that epoch.
      if (numbered.state.epoch !== state.epoch) sent = 0;
      state = numbered.state;
    }
    let taken = true;
    await send(numbered?.made ?? null).catch((err: unknown) => {
      if (term.over()) throw err;
      taken = false;
      metrics?.unsent.inc();
      logger.warn({ err, producer, peer: 'redis-bus' }, 'events could not be sent');
    });
    const outstanding = state.seq > heldSeq() || !reconciled;
    if (Date.now() - askedAt >= (outstanding || marks.waits() ? ASK_BUSY_MS : ASK_IDLE_MS)) {
      await ask().catch((err: unknown) => {
        if (term.over()) throw err;
        if (err instanceof WitnessAlarm) return;
        logger.warn({ err, producer, peer: 'audit-sink' }, 'the log did not say how far it holds events');
      });
      metrics?.waiting(await waitingEvents(client));
    }
    if (!outstanding) progressAt = Date.now();
    if (Date.now() - progressAt > resendMs) {
      metrics?.resent.inc();
      sent = heldSeq();
      progressAt = Date.now();
      resendMs = Math.min(resendMs * 2, RESEND_MAX_MS);
    }
    metrics?.outstanding.set(state.seq - heldSeq());
    metrics?.stalled.set(outstanding ? (Date.now() - progressAt) / 1_000 : 0);
    if (numbered?.more || (again && taken)) continue;
    const gathering = numbered?.made ? gatherMs(numbered.made) : told ? GATHER_MS.least : 0;
    await pause(gathering, stop);
    told = await events.next(LOOK_MS - gathering, stop);
  }
}

const gatherMs = ({ first, last }: NumberedBatch): number =>
  Math.min(Math.max((last - first + 1) * GATHER_MS.anEvent, GATHER_MS.least), GATHER_MS.most);

/** Waits, or returns early when the relay stops. */
export const pause = (ms: number, stop: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal: stop }).catch(() => undefined);
