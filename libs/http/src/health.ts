import type { Logger } from '@postern/runtime';

/** One part that must answer: `check` rejects when it does not. */
export type Check = {
  readonly name: string;
  check(): unknown;
  /** The service answers without it (a cache): it is reported and does not make the replica unready. */
  readonly optional?: boolean;
  /** What the service does while this part is away, in one line: shown with the readiness. */
  readonly without?: string;
};

export type Readiness = {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, 'ok' | 'failing'>>;
  /** Milliseconds that each part took to answer, or to fail, when it was last asked. */
  readonly tookMs: Readonly<Record<string, number>>;
  /** What is done without a part, for each part that says so. */
  readonly without: Readonly<Record<string, string>>;
};

export type Health = {
  /** Asks every part, at most once a second for all callers together; ten times while one is away. False while draining. */
  readiness(): Promise<Readiness>;
  /** From now on not ready: load balancers stop sending. */
  drain(): void;
};

type Answered = { ok: boolean; tookMs: number };

const CHECK_TIMEOUT_MS = 2_000;
const KEPT_MS = 1_000;
/** A part that came back a moment ago should not wait a second to be believed. */
const FAILURE_KEPT_MS = 100;

export function createHealth(parts: readonly Check[], logger: Logger): Health {
  let draining = false;
  let last: { until: number; result: Promise<Record<string, Answered>> } | undefined;

  const without = Object.fromEntries(
    parts.flatMap(({ name, without: mode }) => (mode === undefined ? [] : [[name, mode] as const])),
  );

  const askAll = async () => {
    const answers = parts.map(async (part) => {
      const began = performance.now();
      const ok = await answersInTime(part);
      return [part.name, { ok, tookMs: Math.round((performance.now() - began) * 10) / 10 }] as const;
    });
    return Object.fromEntries(await Promise.all(answers));
  };
  const answersInTime = async (part: Check): Promise<boolean> => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('the check timed out')), CHECK_TIMEOUT_MS);
    });
    try {
      await Promise.race([Promise.resolve(part.check()), late]);
      return true;
    } catch (err) {
      logger.warn({ err, check: part.name }, 'a part is not ready');
      return false;
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    async readiness() {
      if (!last || performance.now() > last.until) last = { until: Infinity, result: askAll() };
      const asked = last;
      const answered = await asked.result;
      const needed = parts.filter(({ optional }) => !optional).every(({ name }) => answered[name]?.ok);
      if (asked.until === Infinity) asked.until = performance.now() + (needed ? KEPT_MS : FAILURE_KEPT_MS);
      const checks = Object.fromEntries(
        Object.entries(answered).map(([name, { ok }]) => [name, ok ? 'ok' : 'failing'] as const),
      );
      const tookMs = Object.fromEntries(Object.entries(answered).map(([name, one]) => [name, one.tookMs] as const));
      const shown = draining ? { ...checks, draining: 'failing' as const } : checks;
      return { ready: needed && !draining, checks: shown, tookMs, without };
    },
    drain() {
      draining = true;
    },
  };
}
