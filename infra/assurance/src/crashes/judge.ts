import { type Recorded } from './log-reader.ts';
import { type Traffic } from './traffic.ts';

/** Acknowledged requests without a success event of their action. */
export function missingFrom(recorded: Recorded, { acknowledged }: Pick<Traffic, 'acknowledged'>): string[] {
  return [...acknowledged]
    .filter(([id, { action }]) => !recorded.get(id)?.some((entry) => entry.action === action))
    .map(([id, { name }]) => `${id} (${name}) was acknowledged and is not in the log`);
}

/**
 * Requests with more than one success event, or with one of another action. Those that were never answered count too: each
 * was sent once, so it is in the log once or not at all.
 */
export function misrecorded(recorded: Recorded, { acknowledged }: Pick<Traffic, 'acknowledged'>): string[] {
  return [...recorded].flatMap(([id, entries]) => {
    const expected = acknowledged.get(id)?.action ?? entries[0]?.action;
    const as = entries.map(({ action, eventId }) => `${action} ${eventId}`).join(', ');
    return entries.length === 1 && entries[0]?.action === expected ? [] : [`${id} is in the log as ${as}`];
  });
}
