import { type Service, type Stack } from '@postern/dev';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'undici';

import { type Random } from '../random.ts';
import { operations, payloadOf, RETRIEVE, STORE, type Operation } from './operations.ts';
import { sendOnce } from './send-once.ts';
import { type Session } from './sessions.ts';

export type Traffic = {
  /** Requests whose success was answered: id -> operation. */
  acknowledged: ReadonlyMap<string, Operation>;
  /** Every id that was sent begins so; nobody else's does. */
  prefix: string;
  sent(): number;
  /** Keys of the records whose storing was acknowledged; `payloadOf` says what each must hold. */
  stored: readonly string[];
  /** Answers that no crash excuses. */
  wrong: readonly string[];
  /** Tokens of now on. */
  renew(session: Session): void;
  /** Resolves when each kind of operation, begun from now on, has been acknowledged. @throws naming those that were not in time */
  untilEachWorks(withinMs: number): Promise<void>;
  /** Sends nothing more, and waits for the answers that are still to come. */
  stop(): Promise<void>;
};

/** After a failure, so that a service that is down is not hammered. */
const BACK_OFF_MS = 50;

type At = {
  stack: Stack;
  grantId: string;
  session: Session;
  random: Random;
  /** The longest wait between two operations of one caller, in milliseconds. */
  pauseMs: number;
};

/**
 * The tour's operations by several callers at once, until it is stopped. Each request is sent exactly once under an id of
 * its own, also where the connection breaks: one that may be sent twice may rightly be recorded twice.
 */
export function startTraffic({ stack, grantId, session: first, random, pauseMs }: At): Traffic {
  const prefix = `crash-${randomUUID().slice(0, 8)}-`;
  const acknowledged = new Map<string, Operation>();
  const stored: string[] = [];
  const wrong: string[] = [];
  const waiting = new Set<{ from: number; missing: Set<Operation>; done: () => void }>();
  const agents = new Map((['job', 'portal'] as const).map((name) => [name, agentOf(stack, name)]));
  const stopping = new AbortController();
  let session = first;
  let sent = 0;

  async function once(operation: Operation, own: Random): Promise<boolean> {
    const number = sent++;
    const id = `${prefix}${number}`;
    const asked = operation.ask(session, { id, random: own, grantId, stored });
    const agent = agents.get(operation.as);
    if (!agent) throw new TypeError('every caller has a certificate');
    const answer = await sendOnce(agent, urlOf(stack, operation.service), id, asked);
    if (answer?.status !== operation.status) return false;
    acknowledged.set(id, operation);
    if (operation.name === STORE) stored.push(id);
    if (operation.name === RETRIEVE) {
      const { key, payload } = JSON.parse(answer.text) as { key: string; payload: string };
      if (payload !== payloadOf(key)) wrong.push(`${id} read something else than what was stored as ${key}`);
    }
    for (const wait of waiting) {
      if (number >= wait.from) wait.missing.delete(operation);
      if (wait.missing.size === 0) wait.done();
    }
    return true;
  }

  async function call(operation: Operation, own: Random): Promise<void> {
    while (!stopping.signal.aborted) {
      const worked = await once(operation, own);
      await delay(worked ? own.between(0, operation.pauseMs ?? pauseMs) : BACK_OFF_MS, undefined, {
        signal: stopping.signal,
      }).catch(() => {});
    }
  }

  const callers = operations.flatMap((operation) =>
    Array.from({ length: operation.callers }, () => call(operation, random.fork())),
  );

  return {
    acknowledged,
    prefix,
    sent: () => sent,
    stored,
    wrong,
    renew: (next) => void (session = next),
    async untilEachWorks(withinMs) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const wait = { from: sent, missing: new Set(operations), done: resolve };
      waiting.add(wait);
      const overdue = new AbortController();
      try {
        await Promise.race([promise, delay(withinMs, undefined, { signal: overdue.signal }), ...callers]);
      } finally {
        overdue.abort();
        waiting.delete(wait);
      }
      if (wait.missing.size > 0) {
        const names = [...wait.missing].map(({ name }) => name).join(', ');
        throw new Error(`not one of these was answered within ${withinMs / 1000} s: ${names}`);
      }
    },
    async stop() {
      stopping.abort();
      await Promise.all(callers);
      await Promise.all([...agents.values()].map((agent) => agent.close()));
    },
  };
}

const urlOf = ({ state }: Stack, service: Service) => state.urls[service].api;

function agentOf({ certificates }: Stack, workload: 'job' | 'portal'): Agent {
  const { cert, key, ca } = certificates.of[workload];
  return new Agent({ connections: 8, pipelining: 1, connect: { cert, key, ca } });
}
