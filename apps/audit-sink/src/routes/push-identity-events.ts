import { route } from '@postern/http';
import type { Postgres } from '@postern/postgres';
import { problem, type Now } from '@postern/runtime';
import { z } from 'zod';
import type { IdentityEvent } from '../sources/keycloak/event.ts';
import { pushedAdminEvent, pushedEvents, pushedUserEvent } from '../sources/keycloak/pushed-event.ts';
import { assertRoom, recordEvents, type RecordEvents } from '../sources/keycloak/record-events.ts';
import type { KeycloakRealm, SourcesConfig } from '../sources/sources-config.ts';
import { REMEMBERED_DAYS } from '../sources/start-sources.ts';

export type PushIdentityEvents = RecordEvents & {
  db: Postgres<unknown>['db'];
  query: Postgres<unknown>['query'];
  sources: SourcesConfig;
  now: Now;
};

/** Clocks apart. */
const AHEAD_MS = 300_000;
const BODY_LIMIT = 512 * 1024;

/**
 * Events of the identity provider, as its event listener sees them. Idempotent by their ids: the same batch again, or what
 * polling brought already, adds nothing. All of a batch is recorded or none of it.
 */
export const pushIdentityEvents = (deps: PushIdentityEvents) =>
  route({
    method: 'POST',
    path: '/v1/sources/keycloak/events',
    listener: 'api',
    summary: "Records identity providers' events, pushed by their listener",
    access: 'workload',
    workloads: deps.sources.keycloak.pushers,
    audit: 'identity.events_received',
    body: pushedEvents,
    bodyLimit: BODY_LIMIT,
    answers: {
      200: z.strictObject({
        added: z.int().describe('how many were new'),
        known: z.int().describe('how many the log had already'),
      }),
    },
    problems: ['invalid_input', 'unavailable'],
    async handle({ body }, audit) {
      const realms = new Map(deps.sources.keycloak.realms.map((realm) => [realm.name, realm]));
      const batches = new Map<KeycloakRealm, IdentityEvent[]>();
      const sort = (list: string, at: number, name: string, event: IdentityEvent) => {
        const realm = realms.get(name);
        if (!realm) throw invalid(`body.${list}.${at}.realm`, 'a realm that is configured here');
        if (!isTaken(event.at, deps.now())) {
          throw invalid(`body.${list}.${at}.timestamp`, `within the last ${REMEMBERED_DAYS} days`);
        }
        batches.set(realm, [...(batches.get(realm) ?? []), event]);
      };
      body.events.forEach((event, at) => sort('events', at, event.realm, pushedUserEvent(event)));
      body.admin_events.forEach((event, at) => sort('admin_events', at, event.realm, pushedAdminEvent(event)));
      await assertRoom(deps.query);
      const offered = body.events.length + body.admin_events.length;
      return deps.db.transaction().execute(async (tx) => {
        let added = 0;
        const inOrder = [...batches].toSorted(([a], [b]) => (a.name < b.name ? -1 : 1));
        for (const [realm, events] of inOrder) added += await recordEvents(deps, tx, realm, { events, way: 'push' });
        const details = { added, known: offered - added };
        return audit.within(tx, { tenant: null, details }, { status: 200, body: details });
      });
    },
  });

const invalid = (field: string, rule: string) => problem('invalid_input', { fields: [{ field, rule }] });

function isTaken(at: Date, now: Date): boolean {
  const age = now.getTime() - at.getTime();
  return age > -AHEAD_MS && age < REMEMBERED_DAYS * 86_400_000;
}
