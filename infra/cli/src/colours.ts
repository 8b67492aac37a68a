import { type Terminal } from './outcome.ts';

const codes = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const;

/** Paints text for a person; leaves it plain in a pipe, a file, and where `NO_COLOR` is set (no-color.org). */
export function painter({ interactive, environment }: Pick<Terminal, 'interactive' | 'environment'>) {
  const plain = !interactive || (environment['NO_COLOR'] ?? '') !== '' || environment['TERM'] === 'dumb';
  return (colour: keyof typeof codes, text: string): string =>
    plain ? text : `\u001b[${codes[colour]}m${text}\u001b[0m`;
}
