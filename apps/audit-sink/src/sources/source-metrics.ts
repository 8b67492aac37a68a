import { Counter, Gauge, type Registry } from '@postern/runtime';
import { isFailure, type IdentityEvent } from './keycloak/event.ts';

export type SourceMetrics = ReturnType<typeof sourceMetrics>;

/** Types that have a series of their own; what else a provider may name shares one, so that it cannot fill Prometheus. */
const COUNTED = new Set([
  'LOGIN',
  'LOGOUT',
  'REGISTER',
  'CODE_TO_TOKEN',
  'REFRESH_TOKEN',
  'CLIENT_LOGIN',
  'TOKEN_EXCHANGE',
  'UPDATE_PASSWORD',
  'UPDATE_CREDENTIAL',
  'UPDATE_TOTP',
  'REMOVE_TOTP',
  'RESET_PASSWORD',
  'IMPERSONATE',
  'USER_DISABLED_BY_PERMANENT_LOCKOUT',
  'USER_DISABLED_BY_TEMPORARY_LOCKOUT',
]);

/** What the sources tell Prometheus. Nothing in it is about one person. */
export function sourceMetrics(registry: Registry) {
  const registers = [registry];
  const events = new Counter({
    name: 'postern_identity_events_total',
    help: "Identity providers' events recorded, by type.",
    labelNames: ['realm', 'event_type', 'success'],
    registers,
  });
  const offered = new Counter({
    name: 'postern_source_events_total',
    help: 'Events that sources brought, by way and what became of them.',
    labelNames: ['realm', 'way', 'result'],
    registers,
  });
  const polls = new Counter({
    name: 'postern_source_polls_total',
    help: 'Rounds of polling.',
    labelNames: ['source', 'result'],
    registers,
  });
  const polled = new Gauge({
    name: 'postern_source_polled_timestamp_seconds',
    help: 'When a source was last read to its end.',
    labelNames: ['source'],
    registers,
  });
  return {
    polls,
    polled,
    unreadable: (realm: string, count: number) => offered.inc({ realm, way: 'poll', result: 'unreadable' }, count),
    taken(at: { realm: string; way: 'poll' | 'push'; known: number; fresh: readonly IdentityEvent[] }) {
      const { realm, way, fresh } = at;
      offered.inc({ realm, way, result: 'known' }, at.known);
      offered.inc({ realm, way, result: 'added' }, fresh.length);
      for (const event of fresh) {
        const success = String(event.error === undefined && !(event.kind === 'user' && isFailure(event.type)));
        events.inc({ realm, event_type: event.kind === 'user' ? countedAs(event.type) : 'ADMIN', success });
      }
    },
  };
}

const countedAs = (type: string): string => (COUNTED.has(type.replace(/_ERROR$/, '')) ? type : 'OTHER');
