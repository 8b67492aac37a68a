import { auditEvent, canonicalBytes, type AuditBatch, type AuditEvent } from '@postern/audit';

// A byte order mark stays, and so is refused: what is compared below is all bytes.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** An event that may be shown, or the reason why its entry stays opaque (R25). */
export type ReadEntry = { event: AuditEvent; opaque: null } | { event: null; opaque: string };

/**
 * Reads the content of a validly signed entry. What does not fit an event is no reason to stop the sequence: its entry is
 * appended all the same, without content.
 */
export function readEntry({ id, action }: AuditBatch['entries'][number], canonical: Buffer): ReadEntry {
  let text: string;
  let value: unknown;
  try {
    text = utf8.decode(canonical);
    value = JSON.parse(text);
  } catch {
    return { event: null, opaque: 'not_json' };
  }
  const parsed = auditEvent.safeParse(value);
  if (!parsed.success) return { event: null, opaque: 'not_an_event' };
  if (!fitsColumns(parsed.data)) return { event: null, opaque: 'not_storable' };
  if (!isCanonical(text, parsed.data)) return { event: null, opaque: 'not_canonical' };
  if (parsed.data.id !== id || parsed.data.action !== action) return { event: null, opaque: 'not_the_entry_named' };
  return { event: parsed.data, opaque: null };
}

/**
 * Whether Postgres takes what is searched by: no NUL in a text, and a time that there is. One entry that it refuses would fail its
 * batch for ever, and with it all that its producer sends after.
 */
function fitsColumns({ tenant, actor, resource, trace, time }: AuditEvent): boolean {
  const texts = [tenant, actor.workload, resource?.type, resource?.id, trace];
  if (texts.some((one) => one?.includes('\0'))) return false;
  const at = new Date(time);
  return !Number.isNaN(at.getTime()) && at.toISOString() === time && at.getUTCFullYear() > 0;
}

/** The schema puts what it parses in canonical order: then its text is the canonical one, unless half a surrogate pair is in it. */
function isCanonical(text: string, event: AuditEvent): boolean {
  if (JSON.stringify(event) !== text) return false;
  if (!text.includes('\\ud')) return true;
  try {
    return canonicalBytes(event).equals(Buffer.from(text));
  } catch {
    return false;
  }
}
