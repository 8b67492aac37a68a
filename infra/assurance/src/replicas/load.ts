import { type Stack } from '@postern/dev';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'undici';

import { operations, payloadOf, RETRIEVE, STORE, type Operation } from '../crashes/operations.ts';
import { sendOnce } from '../crashes/send-once.ts';
import { type Session } from '../crashes/sessions.ts';
import { type Random } from '../random.ts';

/** What came of the requests of one event: sent once each, and again where there was no answer, or a 503 that asks for it. */
export type Counts = {
  requests: number;
  /** Attempts more than requests: the connection ended, the answer was late, or the attempt before is still being settled. */
  again: number;
  /** 503 with Retry-After: said to come again, and it did. */
  later: number;
  /** Any other 5xx. */
  errors: number;
};

/** Whoever calls: their tokens, and connections over the certificates that these are bound to (R12). */
export type Callers = { session: Session; agents: Record<'job' | 'portal', Agent> };

export type Load = {
  /** Requests whose success was answered: id -> operation. */
  acknowledged: ReadonlyMap<string, Operation>;
  prefix: string;
  stored: readonly string[];
  /** Answers that nothing excuses. */
  wrong: readonly string[];
  /** Counts from nothing. @returns what was counted until now */
  count(): Counts;
  /** The callers of now on; what the others have under way is finished first. */
  renew(callers: Callers): void;
  stop(): Promise<void>;
};

/** Above the minute for which key-proxy holds a name whose write may still arrive at its provider. */
const DONE_WITHIN_MS = 90_000;
const AGAIN_AFTER_MS = 50;
/** key-proxy's 409 while a write of that name has an open intent. */
const BUSY = 'secret_busy';

/** Connections of one workload over the certificate that it has now. */
export const agentOver = ({ cert, key, ca }: { cert: string; key: string; ca: string }) =>
  new Agent({ connections: 8, pipelining: 1, connect: { cert, key, ca, maxCachedSessions: 0 } });

const none = (): Counts => ({ requests: 0, again: 0, later: 0, errors: 0 });

/**
 * The tour's operations by several callers at once, without a pause between events. A caller does as the SDK does: what
 * was not answered is sent again, under an id of its own, since both may rightly be recorded.
 */
export function startLoad(at: {
  stack: Stack;
  grantId: string;
  callers: Callers;
  random: Random;
  pauseMs: number;
}): Load {
  const { stack, grantId, random, pauseMs } = at;
  const prefix = `load-${randomUUID().slice(0, 8)}-`;
  const acknowledged = new Map<string, Operation>();
  const stored: string[] = [];
  const wrong: string[] = [];
  const stopping = new AbortController();
  let now = at.callers;
  let counts = none();
  let sent = 0;
  const using = new Map<Callers, number>();

  async function attempt(operation: Operation, id: string, own: Random, key: string) {
    const callers = now;
    using.set(callers, (using.get(callers) ?? 0) + 1);
    try {
      const asked = operation.ask(callers.session, { id: key, random: own, grantId, stored });
      return await sendOnce(callers.agents[operation.as], stack.state.urls[operation.service].api, id, asked);
    } finally {
      const left = (using.get(callers) ?? 1) - 1;
      using.set(callers, left);
      if (left === 0 && callers !== now) await closeAll(callers);
    }
  }

  async function once(operation: Operation, own: Random): Promise<void> {
    const key = `${prefix}${sent++}`;
    counts.requests += 1;
    const until = performance.now() + DONE_WITHIN_MS;
    let uncertain = false;
    for (let turn = 0; ; turn += 1) {
      const id = turn === 0 ? key : `${key}.${turn}`;
      const answer = await attempt(operation, id, own, key);
      if (answer?.status === operation.status) return done(operation, id, key, answer.text);
      // An attempt that was cut off, or that was told to come again when its write was under way, had made it, or is being settled (R23).
      const busy = answer?.status === 409 && uncertain && answer.text.includes(BUSY);
      if (answer?.status === 409 && uncertain && !busy) return;
      const later = answer?.status === 503 && answer.retryAfter !== undefined;
      if (answer === undefined || busy) counts.again += 1;
      else if (later) counts.later += 1;
      else {
        if (answer.status >= 500) counts.errors += 1;
        wrong.push(`${operation.name} (${id}) answered ${answer.status}: ${answer.text.slice(0, 200)}`);
        return;
      }
      uncertain ||= answer === undefined || later;
      if (performance.now() > until) {
        wrong.push(`${operation.name} (${id}) did not succeed in ${DONE_WITHIN_MS / 1000} s: ${String(answer?.text)}`);
        return;
      }
      await delay(later || busy ? Math.min(1_000, Number(answer?.retryAfter) * 1_000 || 1_000) : AGAIN_AFTER_MS);
    }
  }

  function done(operation: Operation, id: string, key: string, text: string): void {
    acknowledged.set(id, operation);
    if (operation.name === STORE) stored.push(key);
    if (operation.name !== RETRIEVE) return;
    const read = JSON.parse(text) as { key: string; payload: string };
    if (read.payload !== payloadOf(read.key)) wrong.push(`${id} read something else than what ${read.key} holds`);
  }

  async function call(operation: Operation, own: Random): Promise<void> {
    while (!stopping.signal.aborted) {
      await once(operation, own);
      const pause = own.between(0, operation.pauseMs ?? pauseMs);
      await delay(pause, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }

  const calling = operations.flatMap((operation) =>
    // Nothing is read before something is stored.
    Array.from({ length: operation.callers }, async () => {
      const own = random.fork();
      while (operation.name === RETRIEVE && stored.length === 0 && !stopping.signal.aborted) await delay(20);
      await call(operation, own);
    }),
  );

  return {
    acknowledged,
    prefix,
    stored,
    wrong,
    count() {
      const counted = counts;
      counts = none();
      return counted;
    },
    renew(callers) {
      const before = now;
      now = callers;
      if (!using.get(before)) void closeAll(before);
    },
    async stop() {
      stopping.abort();
      await Promise.all(calling);
      await closeAll(now);
    },
  };
}

const closeAll = ({ agents }: Callers) => Promise.all(Object.values(agents).map((agent) => agent.close()));
