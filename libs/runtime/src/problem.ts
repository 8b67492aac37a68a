/** One input that was refused: where it stands (`body.key`, `query.limit`, `header.idempotency-key`) and which rule it broke. */
export type ProblemField = { readonly field: string; readonly rule: string };

export type ProblemOptions = {
  /** Public text for the caller. Never a received value, never text of another error. */
  readonly detail?: string;
  readonly fields?: readonly ProblemField[];
  /** Seconds, sent as `Retry-After`. */
  readonly retryAfterSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Kept for the log's error type and stack; its text is never printed. */
  readonly cause?: unknown;
};

/**
 * A failure that the caller may know about, named by a stable code (`record_not_found`).
 * The application's problem table gives the code its status and title; the HTTP layer writes the RFC 9457 document.
 */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: string;
  readonly detail: string | undefined;
  readonly fields: readonly ProblemField[];
  readonly retryAfterSeconds: number | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: string, options: ProblemOptions = {}) {
    super(code, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = options.detail;
    this.fields = options.fields ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.headers = options.headers ?? {};
  }
}

/** `throw problem('record_not_found')`: see {@link Problem}. */
export const problem = (code: string, options?: ProblemOptions): Problem => new Problem(code, options);
