import { type AuditEvent, type EventDraft, newEvent } from '@postern/audit';
import type { Audit } from '@postern/outbox';
import { type Now, Problem } from '@postern/runtime';

export type RecordEffect = { audit: Pick<Audit, 'commit'>; now: Now };

/** What is done elsewhere, as it is recorded: everything but the outcome. */
export type EffectDraft = Omit<EventDraft, 'outcome' | 'reason'>;

/**
 * R23 for an effect that happens inside another operation: its intent is committed before `act`, its outcome after, with
 * the details that `act` learned. A failed `act` is recorded with its problem's code and thrown on.
 * @throws Problem `audit_unavailable` before `act` ran.
 */
export async function recordEffect<Result>(
  { audit, now }: RecordEffect,
  draft: EffectDraft,
  act: () => Promise<{ result: Result; details: AuditEvent['details'] }>,
): Promise<Result> {
  await audit.commit(newEvent({ ...draft, outcome: 'intent' }, now()));
  const { result, details } = await act().catch(async (error: unknown) => {
    const reason = error instanceof Problem ? error.code : 'internal_error';
    await audit.commit(newEvent({ ...draft, outcome: 'failed', reason }, now()));
    throw error;
  });
  // The effect stands: where this cannot be committed its intent stays open, and nothing says that it failed.
  await audit.commit(newEvent({ ...draft, outcome: 'success', details: { ...draft.details, ...details } }, now()));
  return result;
}
