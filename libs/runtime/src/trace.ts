import { setTimeout as delay } from 'node:timers/promises';
import { isSpanContextValid, trace, TraceFlags, type TracerProvider } from '@opentelemetry/api';

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

// The API alone knows no end. What stands behind it is asked, since a service's bundle and that of tracing have no module in common.
type Behind = TracerProvider & { getDelegate?(): TracerProvider & { shutdown?(): Promise<void> } };

/**
 * Sends the spans that are still held, and ends tracing. Where nothing is traced there is nothing to do.
 * @param withinMs it resolves by then, whatever the collector does; it never rejects
 */
export async function endTracing(withinMs: number): Promise<void> {
  const provider: Behind = trace.getTracerProvider();
  const sent = provider.getDelegate?.().shutdown?.();
  if (sent !== undefined) await Promise.race([sent.catch(() => {}), delay(withinMs)]);
}
