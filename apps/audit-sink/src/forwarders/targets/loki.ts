import type { TlsMaterial } from '@postern/mtls';
import type { CollectorConfig } from '../forwarders-config.ts';
import { eventTypeOf, lineOf, realmOf } from '../line.ts';
import type { LogEvent } from '../log-event.ts';
import { authorizationOf, egressTo, postJson } from './post.ts';
import type { Target } from './target.ts';

export type LokiStream = { stream: Record<string, string>; values: [string, string][] };

const OF_KEYCLOAK: ReadonlySet<string> = new Set(['identity.user_event', 'identity.admin_event']);
/** An event that came to the log so long after its time is placed where it was received: Loki takes no lines far behind. */
const LATE_MS = 600_000;

/**
 * Grafana Loki's push API: one stream a set of the seed's labels (`job, realm, event_type, success`), a line of JSON an
 * event. The same event is the same line at the same time, so that what is sent twice stands once.
 */
export function lokiTarget(
  config: Extract<CollectorConfig, { kind: 'loki' }>,
  tls: Pick<TlsMaterial, 'current'>,
): Target {
  const egress = egressTo(config, tls);
  const url = `${config.url.replace(/\/$/, '')}/loki/api/v1/push`;
  const personal = config.erasure !== undefined;
  return {
    oneByOne: false,
    async send(events, stop) {
      const headers = {
        ...(await authorizationOf(config.authorization)),
        ...(config.orgId === undefined ? {} : { 'x-scope-orgid': config.orgId }),
      };
      const body = JSON.stringify({ streams: lokiStreams(events, { personal }) });
      await postJson(egress, url, { headers, body, stop });
    },
    close: egress.close,
  };
}

export function lokiStreams(events: readonly LogEvent[], { personal }: { personal: boolean }): LokiStream[] {
  const streams = new Map<string, LokiStream>();
  for (const logged of events) {
    const { event, receivedAt, index } = logged;
    const stream = {
      job: OF_KEYCLOAK.has(event.action) ? 'keycloak' : 'postern',
      realm: realmOf(event),
      event_type: eventTypeOf(event),
      success: String(event.outcome === 'success'),
    };
    const name = JSON.stringify(stream);
    const held: LokiStream = streams.get(name) ?? { stream, values: [] };
    const own = Date.parse(event.time);
    const at = receivedAt.getTime() - own > LATE_MS ? receivedAt.getTime() : own;
    // Events of one millisecond keep the log's order.
    const nanoseconds = `${at}${String(index % 1_000_000).padStart(6, '0')}`;
    held.values.push([nanoseconds, JSON.stringify(lineOf(logged, { personal }))]);
    streams.set(name, held);
  }
  return [...streams.values()];
}
