import { type Terminal } from './outcome.ts';

const codes = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const;

type Readers = Pick<Terminal, 'interactive' | 'resultShown' | 'environment'>;

/**
 * Paints text of a stream for a person; leaves it plain where that stream is a pipe or a file, and where `NO_COLOR` is set
 * (no-color.org).
 */
export function painter({ interactive, resultShown, environment }: Readers, stream: 'out' | 'err') {
  const read = stream === 'out' ? resultShown : interactive;
  const plain = !read || (environment['NO_COLOR'] ?? '') !== '' || environment['TERM'] === 'dumb';
  return (colour: keyof typeof codes, text: string): string =>
    plain ? text : `\u001b[${codes[colour]}m${text}\u001b[0m`;
}
