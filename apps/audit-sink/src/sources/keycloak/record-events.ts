import type { Audit } from '@postern/outbox';
import { queryIn, type Query } from '@postern/postgres';
import { problem } from '@postern/runtime';
import type { Transaction } from 'kysely';
import type { KeycloakRealm } from '../sources-config.ts';
import type { SourceMetrics } from '../source-metrics.ts';
import type { IdentityEvent } from './event.ts';
import { auditEventOf } from './to-audit-event.ts';

export type RecordEvents = { audit: Pick<Audit, 'within'>; metrics: SourceMetrics };

/** Events that wait for the log at most; above, sources wait too. They lose nothing: the provider keeps its events. */
const OUTBOX_ROOM = 10_000;
const RETRY_AFTER_SECONDS = 5;

export const sourceOf = (realm: Pick<KeycloakRealm, 'name'>, kind: IdentityEvent['kind']): string =>
  `keycloak/${realm.name}/${kind}`;

/**
 * Records events of one realm in the transaction, each once, whichever way it came first: the row that says it was seen
 * and the audit event are committed together.
 *
 * @returns how many were new.
 */
export async function recordEvents(
  { audit, metrics }: RecordEvents,
  tx: Transaction<unknown>,
  realm: KeycloakRealm,
  { events, way }: { events: readonly IdentityEvent[]; way: 'poll' | 'push' },
): Promise<number> {
  const query = queryIn(tx);
  let added = 0;
  for (const kind of ['user', 'admin'] as const) {
    const source = sourceOf(realm, kind);
    const offered = events.filter((event) => event.kind === kind);
    const fresh = await firstSeen(query, source, offered);
    for (const event of fresh) {
      await audit.within(tx, auditEventOf(realm, event, await endedSession(query, source, event)));
    }
    metrics.taken({ realm: realm.name, way, known: offered.length - fresh.length, fresh });
    added += fresh.length;
  }
  return added;
}

/** @throws Problem `unavailable` while the log is so far behind that more events would only fill the outbox. */
export async function assertRoom(query: Query): Promise<void> {
  const [row] = await query<{ waiting: string }>(
    `select count(*) as waiting from (select from audit_outbox limit ${OUTBOX_ROOM}) as events`,
  );
  if (Number(row?.waiting) >= OUTBOX_ROOM) throw problem('unavailable', { retryAfterSeconds: RETRY_AFTER_SECONDS });
}

/** Those that no earlier call recorded. In one order of ids, so that two calls with the same events wait, not deadlock. */
async function firstSeen<E extends IdentityEvent>(query: Query, source: string, events: readonly E[]): Promise<E[]> {
  if (events.length === 0) return [];
  const byId = new Map(events.map((event) => [event.id, event]));
  const ordered = [...byId.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const rows = await query<{ event_id: string }>(
    `insert into source_events (source, event_id, at, type, session)
     select $1, e.id, e.at, e.type, e.session
     from unnest($2::uuid[], $3::timestamptz[], $4::text[], $5::text[]) as e(id, at, type, session)
     on conflict do nothing returning event_id`,
    [
      source,
      ordered.map(({ id }) => id),
      ordered.map(({ at }) => at),
      ordered.map((event) => (event.kind === 'user' ? event.type : event.operation)),
      ordered.map((event) => (event.kind === 'user' ? (event.sessionId ?? null) : null)),
    ],
  );
  const added = new Set(rows.map(({ event_id }) => event_id));
  return [...byId.values()].filter(({ id }) => added.has(id)).toSorted((a, b) => a.at.getTime() - b.at.getTime());
}

/** How long the session lasted that a logout ends, where its login was seen. */
async function endedSession(query: Query, source: string, event: IdentityEvent) {
  if (event.kind !== 'user' || event.type !== 'LOGOUT' || event.sessionId === undefined) return undefined;
  const [login] = await query<{ at: Date | null }>(
    `select min(at) as at from source_events where source = $1 and session = $2 and type = 'LOGIN'`,
    [source, event.sessionId],
  );
  if (!login?.at) return undefined;
  return { seconds: Math.max(0, Math.round((event.at.getTime() - login.at.getTime()) / 1_000)) };
}
