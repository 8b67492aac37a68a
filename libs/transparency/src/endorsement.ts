import { NoteRefused, openNote, parseVerifier, signNote, type NoteSigner, type NoteVerifier } from './note.ts';

const textOf = (origin: string, verifier: string): string => `${origin}\nnext key\n${verifier}\n`;

/** A signed note in which a log's key names the one that follows it, by its verifier line. */
export const endorseKey = (verifier: string, signer: NoteSigner): string =>
  signNote(textOf(signer.name, verifier), signer);

/** @throws NoteRefused unless `known` signed that `verifier` follows it */
export function assertEndorsed(verifier: string, endorsement: string, known: NoteVerifier): void {
  if (openNote(endorsement, [known]) !== textOf(known.name, verifier)) {
    throw new NoteRefused('an endorsement of another key');
  }
}

/**
 * The keys of a log from the one that is trusted on: each must be endorsed by the one before it.
 *
 * @param keys as the log gives them, in any order.
 * @throws NoteRefused
 */
export function verifiersFrom(
  trusted: string,
  keys: readonly { verifier: string; generation: number; endorsement: string | null }[],
): NoteVerifier[] {
  const verifiers = [parseVerifier(trusted)];
  const place = keys.find(({ verifier }) => verifier === trusted)?.generation;
  if (place === undefined) return verifiers;
  const later = keys.filter(({ generation }) => generation > place).toSorted((a, b) => a.generation - b.generation);
  for (const { verifier, endorsement } of later) {
    assertEndorsed(verifier, endorsement ?? '', verifiers.at(-1)!);
    verifiers.push(parseVerifier(verifier));
  }
  return verifiers;
}
