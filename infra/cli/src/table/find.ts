import { type Entry } from './command.ts';

const begins = (words: readonly string[], argv: readonly string[]) => words.every((word, at) => argv[at] === word);

/** The command of a command line, the one with the most words first, and what is left for it. */
export function find(
  entries: readonly Entry[],
  argv: readonly string[],
): { entry: Entry; rest: readonly string[] } | undefined {
  const entry = entries
    .filter(({ words }) => begins(words, argv))
    .sort((a, b) => b.words.length - a.words.length)
    .at(0);
  return entry && { entry, rest: argv.slice(entry.words.length) };
}

/** The commands that begin with the words before the first option: those of `postern keycloak`. */
export function group(entries: readonly Entry[], argv: readonly string[]): readonly Entry[] {
  const end = argv.findIndex((word) => word.startsWith('-'));
  const given = end < 0 ? argv : argv.slice(0, end);
  return given.length === 0 ? [] : entries.filter(({ words }) => begins(given, words));
}
