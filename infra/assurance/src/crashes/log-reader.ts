import { type Postern } from '@postern/client';

/** Where an operation stands in the log. */
export type Entry = { eventId: string; action: string };

/** Success events by the request that they answer. */
export type Recorded = ReadonlyMap<string, readonly Entry[]>;

const PAGE = 200;

/** Reads the tenant's events from where it was, and keeps the successes of requests that begin with `prefix`. */
export function openLogReader(portal: Postern, prefix: string) {
  const settled = new Map<string, Entry[]>();
  let after: string | undefined;

  const addTo = (recorded: Map<string, Entry[]>, events: readonly Record<string, unknown>[]) => {
    for (const { id, action, outcome, request } of events) {
      if (outcome !== 'success' || typeof request !== 'string' || !request.startsWith(prefix)) continue;
      const entry = { eventId: String(id), action: String(action) };
      recorded.set(request, [...(recorded.get(request) ?? []), entry]);
    }
  };

  return {
    /** All that the log shows now. */
    async read(token: string): Promise<Recorded> {
      for (;;) {
        const { events, next } = await portal.audit.events(
          { limit: PAGE, ...(after === undefined ? {} : { after }) },
          { token },
        );
        if (next === undefined) {
          // The last page grows: it is read again the next time.
          const recorded = new Map(settled);
          addTo(recorded, events);
          return recorded;
        }
        addTo(settled, events);
        after = next;
      }
    },
  };
}
