import type { LogEvent } from '../log-event.ts';

/** Where events go. `send` resolves when the target has taken all of them. */
export type Target = {
  /** `send` is given one event at a time: those before one that fails were taken for good. */
  oneByOne: boolean;
  /** Ends when `stop` does; nobody knows then what was taken. @throws LinesRefused, TargetAway. */
  send(events: readonly LogEvent[], stop: AbortSignal): Promise<void>;
  close(): Promise<void>;
};

/** The target says that what was sent is at fault: the same again will not help. */
export class LinesRefused extends Error {
  override readonly name = 'LinesRefused';
  readonly reason: string;
  constructor(reason: string) {
    super(`the target refused lines: ${reason}`);
    this.reason = reason;
  }
}

/** The target cannot take anything now. `lasting`: somebody has to change something first. */
export class TargetAway extends Error {
  override readonly name = 'TargetAway';
  readonly reason: string;
  readonly lasting: boolean;
  readonly retryAfterMs: number;
  constructor(
    reason: string,
    { lasting = false, retryAfterMs = 0 }: { lasting?: boolean; retryAfterMs?: number } = {},
  ) {
    super(`the target takes nothing: ${reason}`);
    this.reason = reason;
    this.lasting = lasting;
    this.retryAfterMs = retryAfterMs;
  }
}
