import { packEntries, type AuditEvent } from '@postern/audit';
import { pendingEvent, type PendingEvent } from './pending.ts';
import { PROVEN, type EventGroup, type GroupStatement } from './write-group.ts';

/**
 * Makes a change and records its event: both or neither, in one statement with others.
 *
 * @returns false when the statement found the change not to be made; then nothing was recorded of it.
 * @throws Problem `audit_unavailable` (503); what Postgres said, where that is about this change alone.
 */
export type Changes<Change> = (change: Change, event: AuditEvent) => Promise<boolean>;

/** How changes of one kind are written together. */
export type ChangeStatement<Change> = {
  /** What a change adds to the statement, in bytes. */
  bytesOf(change: Change): number;
  /**
   * Common table expressions over the values from `$4` on, as a prepared statement's; the last of them is `stale`, with one
   * row whose column `places` is an int[] of the changes (from 1) that were not made, or null. It makes only what it does not
   * name there, and made again it names all of it: after a broken connection nobody knows whether the first time counted (R23).
   */
  tablesFor(changes: readonly Change[]): { name: string; tables: string; values: unknown[] };
};

export type PendingChange<Change> = PendingEvent & { change: Change };

/** @throws TypeError for the event of an effect: that is no change of this database. */
export function pendingChange<Change>(event: AuditEvent, change: Change): PendingChange<Change> {
  const pending = pendingEvent(event);
  if (pending.opens || pending.closes !== undefined) throw new TypeError('a change is no effect elsewhere');
  return { ...pending, change };
}

/** The statement of a group: its changes, and one row with the events of those that were made. */
export function changeStatements<Change>({ tablesFor }: ChangeStatement<Change>) {
  return ({ id, events }: EventGroup<PendingChange<Change>>): GroupStatement => {
    const { name, tables, values } = tablesFor(events.map(({ change }) => change));
    return { name, text: `with ${tables} ${PROVEN}`, values: [id, events.length, packEntries(events), ...values] };
  };
}
