import type { TlsMaterial } from '@postern/mtls';
import type { CollectorConfig } from '../forwarders-config.ts';
import { lineOf, type Line } from '../line.ts';
import type { LogEvent } from '../log-event.ts';
import { authorizationOf, egressTo, postJson } from './post.ts';
import { LinesRefused, type Target } from './target.ts';

/** OpenTelemetry logs over HTTP with JSON (OTLP 1.x, `ExportLogsServiceRequest`). `url` is the collector's base. */
export function otlpTarget(
  config: Extract<CollectorConfig, { kind: 'otlp' }>,
  tls: Pick<TlsMaterial, 'current'>,
): Target {
  const egress = egressTo(config, tls);
  const url = `${config.url.replace(/\/$/, '')}/v1/logs`;
  const personal = config.erasure !== undefined;
  return {
    oneByOne: false,
    async send(events, stop) {
      const headers = await authorizationOf(config.authorization);
      const body = JSON.stringify(otlpLogs(events, { personal }));
      const answer = await postJson(egress, url, { headers, body, stop });
      if (rejected(answer) > 0) throw new LinesRefused('partial_success');
    },
    close: egress.close,
  };
}

/** Severity numbers of the log data model: INFO, WARN for what was refused, ERROR for what failed. */
const SEVERITY = { success: [9, 'INFO'], intent: [9, 'INFO'], refused: [13, 'WARN'], failed: [17, 'ERROR'] } as const;

type AnyValue =
  | { stringValue: string }
  | { boolValue: boolean }
  | { intValue: number }
  | { doubleValue: number }
  | { arrayValue: { values: AnyValue[] } }
  | { kvlistValue: { values: KeyValue[] } };
type KeyValue = { key: string; value: AnyValue };

export function otlpLogs(events: readonly LogEvent[], { personal }: { personal: boolean }) {
  const logRecords = events.map((logged) => {
    const { event, receivedAt } = logged;
    const { id, timestamp, event_type, trace_id, ...line } = lineOf(logged, { personal });
    const [severityNumber, severityText] = SEVERITY[event.outcome];
    return {
      timeUnixNano: nanoseconds(Date.parse(timestamp)),
      observedTimeUnixNano: nanoseconds(receivedAt.getTime()),
      severityNumber,
      severityText,
      eventName: event_type,
      body: { stringValue: event_type },
      attributes: [{ key: 'event.id', value: valueOf(id) }, ...attributesOf(line)],
      droppedAttributesCount: 0,
      ...(isTraceId(trace_id) ? { traceId: trace_id } : {}),
    };
  });
  return {
    resourceLogs: [
      {
        resource: {
          attributes: [
            { key: 'service.name', value: valueOf('audit-sink') },
            { key: 'service.namespace', value: valueOf('postern') },
          ],
          droppedAttributesCount: 0,
        },
        scopeLogs: [{ scope: { name: 'postern.audit' }, logRecords }],
      },
    ],
  };
}

const attributesOf = (fields: Partial<Line>): KeyValue[] =>
  Object.entries(fields).map(([key, value]) => ({ key, value: valueOf(value) }));

function valueOf(value: unknown): AnyValue {
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number') return Number.isInteger(value) ? { intValue: value } : { doubleValue: value };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(valueOf) } };
  if (typeof value === 'object' && value !== null) {
    const values = Object.entries(value).map(([key, one]) => ({ key, value: valueOf(one) }));
    return { kvlistValue: { values } };
  }
  return { stringValue: String(value) };
}

const nanoseconds = (ms: number): string => `${ms}000000`;

const isTraceId = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{32}$/.test(value);

/** How many records the collector took not, by its own words; an empty answer means none. */
function rejected(answer: Buffer): number {
  try {
    const parsed = JSON.parse(answer.toString('utf8')) as { partialSuccess?: { rejectedLogRecords?: unknown } };
    return Number(parsed.partialSuccess?.rejectedLogRecords ?? 0);
  } catch {
    return 0;
  }
}
