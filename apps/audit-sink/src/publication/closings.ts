import type { Query } from '@postern/postgres';
import {
  LogAltered,
  NoteRefused,
  openClosings,
  parseVerifier,
  signClosings,
  type Closings,
} from '@postern/transparency';
import type { CheckpointKey } from '../log/checkpoint-key.ts';
import { bringBackClosings, readClosings } from '../log/close-producer.ts';
import type { Place } from './place.ts';

/** Beside the checkpoint: which producers were closed, as a signed note. An entry alone says only that one was. */
const CLOSINGS = 'closings';

const RECORDED = '"action":"producer.closed"';

/** Whether an entry records a closing, or an attempt at one. */
export const recordsClosing = (entry: Buffer): boolean => entry.includes(RECORDED);

/** @param size of the tree that is published with it. Closings are committed before their entries are: none below is missing. */
export async function publishClosings(query: Query, key: CheckpointKey, place: Place, size: number): Promise<void> {
  await place.write(CLOSINGS, Buffer.from(signClosings({ size, closings: await readClosings(query) }, key.signer)));
}

/**
 * Puts back the published closings that this database, restored to an older state, has not (R26, R27).
 *
 * @param size to which the database knows every closing that is published.
 * @returns from which entry on a closing may be recorded that the place does not name: it was taken away there.
 * @throws LogAltered for closings that no key of this log signed
 */
export async function keepClosings(query: Query, key: CheckpointKey, place: Place, size: number): Promise<number> {
  const published = await readPublishedClosings(key, place);
  if (published) await bringBackClosings(query, published.closings);
  else await publishClosings(query, key, place, size);
  return published?.size ?? 0;
}

async function readPublishedClosings(key: CheckpointKey, place: Place): Promise<Closings | null> {
  const bytes = await place.read(CLOSINGS);
  if (!bytes) return null;
  try {
    return openClosings(bytes.toString('utf8'), key.origin, key.verifiers.map(parseVerifier));
  } catch (error) {
    if (error instanceof NoteRefused) throw new LogAltered('external_closings_unsigned');
    throw error;
  }
}
