import { expect, test } from '@jest/globals';
import { JsonLogsSerializer } from '@opentelemetry/otlp-transformer';
import { emptyResource } from '@opentelemetry/resources';
import { newEvent } from '@postern/audit';
import type { LogEvent } from '../log-event.ts';
import { lokiStreams } from './loki.ts';
import { otlpLogs } from './otlp.ts';
import { retryAfterMs } from './post.ts';

const at = new Date('2026-11-21T10:00:00.123Z');

const logged = (receivedAt = at): LogEvent => ({
  index: 41,
  receivedAt,
  checkpoint: { size: 50, root: 'cm9vdA==' },
  event: newEvent(
    {
      action: 'record.read',
      outcome: 'refused',
      reason: 'insufficient_scope',
      tenant: 'kp_0b5c',
      actor: { person: { issuer: 'https://idp.example/realms/acme', sub: 'alice' }, workload: 'portal' },
      trace: 'ab'.repeat(16),
      details: { source: 'cache' },
    },
    at,
  ),
});

/** The same record as the OpenTelemetry SDK writes it. */
function asTheSdkWritesIt({ event }: LogEvent) {
  const bytes = JsonLogsSerializer.serializeRequest([
    {
      hrTime: [Math.floor(at.getTime() / 1_000), 123_000_000],
      hrTimeObserved: [Math.floor(at.getTime() / 1_000), 123_000_000],
      severityNumber: 13,
      severityText: 'WARN',
      eventName: 'record.read',
      body: 'record.read',
      spanContext: { traceId: 'ab'.repeat(16), spanId: '', traceFlags: 0 },
      attributes: {
        'event.id': event.id,
        realm: 'kp_',
        success: false,
        leaf_index: 41,
        checkpoint: { size: 50, root: 'cm9vdA==' },
        details: { source: 'cache' },
      },
      resource: emptyResource(),
      instrumentationScope: { name: 'postern.audit' },
      droppedAttributesCount: 0,
    },
  ]);
  const { resourceLogs } = JSON.parse(Buffer.from(bytes!).toString()) as ReturnType<typeof otlpLogs>;
  return resourceLogs[0]!.scopeLogs[0]!;
}

test('OTLP records have the shape that the OpenTelemetry SDK gives them', () => {
  const one = logged();
  const [ours, theirs] = [otlpLogs([one], { personal: false }).resourceLogs[0]!.scopeLogs[0]!, asTheSdkWritesIt(one)];
  const [record, expected] = [ours.logRecords[0]!, theirs.logRecords[0]!];
  expect(ours.scope).toEqual(theirs.scope);
  for (const field of [
    'timeUnixNano',
    'observedTimeUnixNano',
    'severityNumber',
    'severityText',
    'eventName',
    'body',
    'traceId',
  ])
    expect(record).toHaveProperty(field, (expected as Record<string, unknown>)[field]);
  for (const attribute of expected.attributes) expect(record.attributes).toContainEqual(attribute);
});

test('an account that somebody made is no label; an event that came late stands where it was received', () => {
  const [stream] = lokiStreams([logged()], { personal: false });
  expect(stream!.stream).toEqual({ job: 'postern', realm: 'kp_', event_type: 'record.read', success: 'false' });
  expect(stream!.values[0]![0]).toBe(`${at.getTime()}000041`);
  const received = new Date(at.getTime() + 3_600_000);
  expect(lokiStreams([logged(received)], { personal: false })[0]!.values[0]![0]).toBe(`${received.getTime()}000041`);
});

test('Retry-After in seconds, as a date, beyond an hour, or nonsense', () => {
  const now = at.getTime();
  expect(retryAfterMs('7', now)).toBe(7_000);
  expect(retryAfterMs(new Date(now + 5_000).toUTCString(), now)).toBeGreaterThan(4_000);
  expect(retryAfterMs('999999', now)).toBe(3_600_000);
  expect([retryAfterMs('soon', now), retryAfterMs(null, now), retryAfterMs('-1', now)]).toEqual([0, 0, 0]);
});
