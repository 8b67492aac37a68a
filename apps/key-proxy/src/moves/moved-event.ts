import { type AuditEvent, newEvent } from '@postern/audit';
import { type Place } from '../providers/open-providers.ts';
import { type Move, type MoveDeps } from './move.ts';

type Moved = {
  secretId: string;
  from: Place;
  to: Place;
  outcome: 'intent' | 'success';
  reason?: string;
  /** Of an outcome: the event before the write. */
  intent?: string;
};

/** What is done with one secret of a move, by this service itself: before a provider is written to, and what came of it (R23). */
export const movedEvent = (
  { service, now }: Pick<MoveDeps, 'service' | 'now'>,
  { tenant }: Move,
  { secretId, from, to, ...rest }: Moved,
): AuditEvent =>
  newEvent(
    {
      action: 'secret.moved',
      tenant,
      actor: { workload: service },
      resource: { type: 'secret', id: secretId },
      details: { from: from.kind, to: to.kind },
      ...rest,
    },
    now(),
  );

/** Before the first write at a provider. @returns the id of the intent, for its outcome */
export async function intend(deps: MoveDeps, move: Move, of: Pick<Moved, 'secretId' | 'from' | 'to'>): Promise<string> {
  const event = movedEvent(deps, move, { ...of, outcome: 'intent' });
  await deps.audit.commit(event);
  return event.id;
}
