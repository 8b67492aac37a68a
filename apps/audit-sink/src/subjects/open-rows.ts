import type { KeyObject } from 'node:crypto';
import { ContentRefused, openContent, openTogether, type Content } from './seal-content.ts';
import type { Subjects } from './subjects.ts';

/** A row of `log_events` with its content, as `CONTENT` selects it; `sealed` is null where the row that has it is gone. */
export type SealedRow = {
  index: string;
  event_id: string;
  subject: string;
  sealed_with: string | null;
  sealed: Buffer | null;
};

/**
 * What is selected of a row `e` to open it: where its content stands at another row of its batch, that row's.
 *
 * @param table `log_events`, for reads as a tenant: then the other row is read as the tenant too.
 */
export const contentOf = (table: 'log_events' | 'log_every_event'): string =>
  `e.index, e.event_id, e.subject, e.sealed_with,
     coalesce(e.sealed, (select c.sealed from ${table} c where c.index = e.sealed_with)) as sealed`;

/**
 * Opens rows one by one; what was sealed together once for those that follow one another.
 *
 * @returns null for a row whose subject was erased meanwhile, or whose content is gone; a `ContentRefused` for one that is not
 *   what was sealed.
 */
export async function createRowOpener(
  rows: readonly { subject: string | null }[],
  subjects: Pick<Subjects, 'keysOf'>,
): Promise<(row: SealedRow) => Content | ContentRefused | null> {
  const keys = await subjects.keysOf(rows.flatMap(({ subject }) => subject ?? []));
  const parts = new Map<string, Map<string, Content> | ContentRefused>();
  const partOf = (key: KeyObject, at: string, sealed: Buffer) => {
    const known = parts.get(at);
    if (known) return known;
    const part = refusedOr(() => openTogether(key, sealed));
    parts.set(at, part);
    return part;
  };
  return ({ event_id: id, subject, sealed_with: at, sealed }) => {
    const key = keys.get(subject);
    if (!key || !sealed) return null;
    if (at === null) return refusedOr(() => openContent(key, id, sealed));
    const part = partOf(key, at, sealed);
    if (part instanceof ContentRefused) return part;
    return part.get(id) ?? new ContentRefused('it is not among those that were sealed together');
  };
}

function refusedOr<T>(open: () => T): T | ContentRefused {
  try {
    return open();
  } catch (error) {
    if (error instanceof ContentRefused) return error;
    throw error;
  }
}
