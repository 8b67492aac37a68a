import { isSpanContextValid, trace, TraceFlags } from '@opentelemetry/api';

export type CurrentTrace = {
  /** 32 hex digits. */
  readonly id: string;
  /** 16 hex digits. */
  readonly span: string;
  /** Whether it is sent anywhere: only then is there something to look at under its id. */
  readonly sampled: boolean;
};

/** The trace of the work under way; null where nothing is traced (`@postern/runtime/otel` is not loaded). */
export function currentTrace(): CurrentTrace | null {
  const at = trace.getActiveSpan()?.spanContext();
  if (at === undefined || !isSpanContextValid(at)) return null;
  return { id: at.traceId, span: at.spanId, sampled: (at.traceFlags & TraceFlags.SAMPLED) !== 0 };
}
