/** W3C Trace Context, 3.2: version, trace id, parent id, flags. */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** What gives the trace of the work under way: `traceparent`, or nothing. */
export type Traceparent = () => string | undefined;

/** The header that ties a call to the caller's trace; none where there is no trace, or what came is no `traceparent`. */
export function traceHeader(traceparent: Traceparent | undefined): Record<string, string> {
  const value = traceparent?.();
  return value !== undefined && TRACEPARENT.test(value) ? { traceparent: value } : {};
}
