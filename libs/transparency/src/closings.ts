import { NoteRefused, openNote, signNote, type NoteSigner, type NoteVerifier } from './note.ts';

/** Where an operator of a log closed one of its producers: what the log says of it beside the entry that records it. */
export type Closing = { producer: string; epoch: number; seq: number; certificatesBefore: Date; closedAt: Date };

/** Every producer's last closing, and up to which size of the tree: no entry below it records one that is not named. */
export type Closings = { size: number; closings: readonly Closing[] };

const LINE = /^([a-z][a-z0-9-]{0,63}) (\d{1,10}) (\d{1,15}) (\S{20,30}) (\S{20,30})$/;

/** A signed note: the log's name, `closings`, the tree's size, and a line for each: producer, epoch, number and two times. */
export const signClosings = ({ size, closings }: Closings, signer: NoteSigner): string =>
  signNote([signer.name, 'closings', size, ...closings.map(lineOf)].map((line) => `${line}\n`).join(''), signer);

const lineOf = ({ producer, epoch, seq, certificatesBefore, closedAt }: Closing): string =>
  `${producer} ${epoch} ${seq} ${certificatesBefore.toISOString()} ${closedAt.toISOString()}`;

/** @throws NoteRefused also when it is another log's, or speaks of something else */
export function openClosings(note: string, origin: string, verifiers: readonly NoteVerifier[]): Closings {
  const [named, kind, size = '', ...lines] = openNote(note, verifiers).slice(0, -1).split('\n');
  if (named !== origin || kind !== 'closings') throw new NoteRefused("not this log's closings");
  if (!/^\d{1,15}$/.test(size)) throw new NoteRefused('not a tree size');
  return { size: Number(size), closings: lines.map(closingIn) };
}

function closingIn(line: string): Closing {
  const [, producer = '', epoch, seq, before = '', at = ''] = LINE.exec(line) ?? [];
  const closing = {
    producer,
    epoch: Number(epoch),
    seq: Number(seq),
    certificatesBefore: new Date(before),
    closedAt: new Date(at),
  };
  if (Number.isNaN(closing.certificatesBefore.getTime()) || Number.isNaN(closing.closedAt.getTime()))
    throw new NoteRefused('not a closing');
  return closing;
}
