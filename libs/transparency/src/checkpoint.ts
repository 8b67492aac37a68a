import { HASH_BYTES } from './hash.ts';
import { NoteRefused, openNote, signNote, type NoteSigner, type NoteVerifier } from './note.ts';

/** A tree's head (C2SP tlog-checkpoint): the log's name, the number of entries, the root hash. */
export type Checkpoint = { origin: string; size: number; root: Buffer };

/** The text that is signed: origin, size in decimal, root in base64, each on a line. */
export const checkpointText = ({ origin, size, root }: Checkpoint): string =>
  `${origin}\n${size}\n${root.toString('base64')}\n`;

export const signCheckpoint = (checkpoint: Checkpoint, signer: NoteSigner): string =>
  signNote(checkpointText(checkpoint), signer);

/**
 * Reads a checkpoint that one of the verifiers signed. Extension lines are allowed and ignored.
 * @throws NoteRefused also when it is another log's
 */
export function openCheckpoint(note: string, origin: string, verifiers: readonly NoteVerifier[]): Checkpoint {
  const [named, count = '', encoded = ''] = openNote(note, verifiers).split('\n');
  const root = Buffer.from(encoded, 'base64');
  const size = Number(count);
  if (named !== origin) throw new NoteRefused('a checkpoint of another log');
  if (!/^(0|[1-9]\d{0,15})$/.test(count) || !Number.isSafeInteger(size)) throw new NoteRefused('not a tree size');
  if (root.length !== HASH_BYTES || root.toString('base64') !== encoded) throw new NoteRefused('not a root hash');
  return { origin, size, root };
}
