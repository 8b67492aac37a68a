import type { AuditEvent } from '@postern/audit';
import { event, heldIds, openWorld, until } from './world.ts';

export type SearchedLog = Awaited<ReturnType<typeof openSearchedLog>>;
export type Page = { events: AuditEvent[]; next?: string };

export const alice = { issuer: 'https://idp.example/realms/postern', sub: 'alice' };
const bob = { issuer: 'https://idp.example/realms/postern', sub: 'bob' };

/** Ids of the events of a page, sorted. */
export const ids = (page: { events: { id: string }[] }) => page.events.map(({ id }) => id).sort();

/** The log with sixty events of two tenants and two persons, and an auditor who reads it. */
export async function openSearchedLog() {
  const world = await openWorld();
  const { url } = await world.sink();
  const producer = await world.producer();
  await producer.relay(url);
  const auditor = await world.caller();
  const events = Array.from({ length: 60 }, (_, i) =>
    event({
      tenant: i % 3 === 0 ? 'globex' : 'acme',
      actor: { person: i % 2 === 0 ? alice : bob, workload: i % 5 === 0 ? 'job' : 'portal' },
      outcome: i % 4 === 0 ? 'refused' : 'success',
      resource: { type: 'record', id: `r${i % 7}` },
      trace: `${i % 6}`.repeat(32),
    }),
  );
  for (const part of [events.slice(0, 25), events.slice(25)]) {
    await Promise.all(part.map((one) => producer.audit.commit(one)));
    await until(async () => {
      const there = new Set(await heldIds(world));
      return part.every(({ id }) => there.has(id));
    }, 'the events are in the log');
  }
  return {
    world,
    url,
    producer,
    auditor,
    events,
    search: async (query: string, tenant = 'acme') =>
      (await auditor.get(`${url}/v1/events?limit=200${query}`, { tenant })).body as unknown as Page,
    /** Ids of those that were committed in acme, sorted. */
    own: (holds: (one: AuditEvent) => boolean) =>
      events
        .filter((one) => one.tenant === 'acme' && holds(one))
        .map(({ id }) => id)
        .sort(),
    close: () => world.close(),
  };
}
