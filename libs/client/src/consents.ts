import { type CallService, type CallStream, shaped } from './call-service.ts';
import { PosternError } from './errors.ts';
import { type Consent } from './grants.ts';
import { linesOf } from './lines-of.ts';
import { type CallAs } from './options.ts';

/** A step of a consent: 1 `pending`, 2 `started`, 3 how it ended. */
export type ConsentStep = { step: number; consent: Consent };

export type Consents = {
  /**
   * Waits until the person has agreed, declined or let the time pass, and says how it ended. It asks by long poll, so an
   * answer comes within a second of it; `signal` ends the wait. Scope `grants:write`.
   */
  wait(id: string, as: CallAs): Promise<Consent>;
  /**
   * Every step after `after` (0 unless given) as it happens, and the end of the consent as the last: server-sent events, taken up again
   * where a connection broke off. Scope `grants:write`.
   */
  steps(id: string, as: CallAs & { after?: number }): AsyncGenerator<ConsentStep>;
};

/** What the service holds an answer back for at most. */
const WAIT_SECONDS = 25;
const ANSWER_MS = 10_000;
/** A stream that breaks off so often, one after the other and without a step, is given up. */
const MOST_BREAKS = 5;

const isOver = ({ state }: Consent) => state !== 'pending' && state !== 'started';

export function createConsents(call: CallService, callStream: CallStream): Consents {
  const path = (id: string) => `/v1/consents/${encodeURIComponent(id)}`;
  const scopes = ['grants:write'];
  const consentOf = (answer: unknown) => shaped<Consent>('auth-manager', answer, 'id', 'state');

  return {
    async wait(id, as) {
      for (;;) {
        const timeoutMs = WAIT_SECONDS * 1_000 + (as.timeoutMs ?? ANSWER_MS);
        const asked = { method: 'GET', path: path(id), query: { wait: WAIT_SECONDS }, scopes } as const;
        const consent = consentOf(await call(asked, { ...as, timeoutMs }));
        if (isOver(consent)) return consent;
      }
    },
    async *steps(id, { after = 0, ...as }) {
      let told = after;
      for (let breaks = 0; ;) {
        try {
          const headers = { accept: 'text/event-stream', 'last-event-id': String(told) };
          const pieces = await callStream({ path: `${path(id)}/events`, headers, scopes }, as);
          for await (const { id: step, data } of eventsOf(linesOf(pieces))) {
            [told, breaks] = [step, 0];
            const consent = consentOf(JSON.parse(data));
            yield { step, consent };
            if (isOver(consent)) return;
          }
        } catch (error) {
          const broke = error instanceof PosternError && (error.code === 'broken_off' || error.code === 'unreachable');
          if (!broke || (breaks += 1) > MOST_BREAKS) throw error;
        }
      }
    },
  };
}

/** Server-sent events (WHATWG HTML 9.2.6) that have a number and one line of data. */
async function* eventsOf(lines: AsyncIterable<string>): AsyncGenerator<{ id: number; data: string }> {
  let fields: Record<string, string> = {};
  for await (const line of lines) {
    if (line === '') {
      const { id, data } = fields;
      if (id !== undefined && data !== undefined) yield { id: Number(id), data };
      fields = {};
    }
    const [, name, value] = /^(\w+):\s?(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) fields[name] = value;
  }
}
