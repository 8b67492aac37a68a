import type { PackedEntry } from '@postern/audit';
import { sealTogether } from '../subjects/seal-content.ts';
import type { Subject } from '../subjects/subjects.ts';

/** What is read to show one event, at most, beyond what the event itself has: a page may be of as many parts as it has events. */
const PART_MAX = { events: 32, bytes: 32_768 };

/** Where an event's content is: with itself, or with the entry of its batch that `sealedWith` names (from 0). */
export type Place = { sealed: Buffer | null; sealedWith: number | null };

/**
 * Seals events of one subject together, so many that a part stays small: a cipher for each costs more than all else that is done
 * for an event. A part stands at the last of its events: so an event that stands has its content, also when those before it are
 * in the log already, or were given up.
 *
 * @param about whom each entry is about; null for one that fits no event.
 * @returns a place for each entry that fits an event.
 */
export function sealInParts(entries: readonly PackedEntry[], about: readonly (Subject | null)[]): (Place | null)[] {
  const places: (Place | null)[] = entries.map(() => null);
  const open = new Map<string, { subject: Subject; at: number[]; bytes: number }>();
  const close = ({ subject, at }: { subject: Subject; at: number[] }) => {
    const last = at.at(-1)!;
    for (const i of at) places[i] = { sealed: null, sealedWith: last };
    const part = at.map((i) => entries[i]!);
    places[last] = { sealed: sealTogether(subject.key, part), sealedWith: last };
  };
  for (const [i, subject] of about.entries()) {
    if (!subject) continue;
    const { length } = entries[i]!.event;
    let part = open.get(subject.id);
    if (part && (part.at.length === PART_MAX.events || part.bytes + length > PART_MAX.bytes)) {
      close(part);
      part = undefined;
    }
    if (part) {
      part.at.push(i);
      part.bytes += length;
    } else open.set(subject.id, { subject, at: [i], bytes: length });
  }
  for (const part of open.values()) close(part);
  return places;
}
