import { auditEvent, canonicalBytes, type AuditBatch, type AuditEvent } from '@postern/audit';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** An event that may be shown, or the reason why its entry stays opaque (R25). */
export type ReadEntry = { event: AuditEvent; opaque: null } | { event: null; opaque: string };

/**
 * Reads the content of a validly signed entry. What does not fit an event is no reason to stop the sequence: its entry is
 * appended all the same, without content.
 */
export function readEntry({ id, action }: AuditBatch['entries'][number], canonical: Buffer): ReadEntry {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(canonical));
  } catch {
    return { event: null, opaque: 'not_json' };
  }
  const parsed = auditEvent.safeParse(value);
  if (!parsed.success) return { event: null, opaque: 'not_an_event' };
  if (!canonical.equals(canonicalBytes(parsed.data))) return { event: null, opaque: 'not_canonical' };
  if (parsed.data.id !== id || parsed.data.action !== action) return { event: null, opaque: 'not_the_entry_named' };
  return { event: parsed.data, opaque: null };
}
