import { commands } from './commands.ts';
import { find } from './find.ts';

/** What may stand where the last word of the line is, in the order of the table. */
export async function candidates(line: readonly string[]): Promise<string[]> {
  const last = line.at(-1) ?? '';
  const before = line.slice(0, -1);
  const found = find(commands, before);
  if (found) {
    const { command } = await found.entry.load();
    const asked = before.at(-1)?.startsWith('--') ? command.options[before.at(-1)?.slice(2) ?? ''] : undefined;
    if (asked?.type === 'string') return starting([...(asked.among ?? [])], last);
    const options = [...Object.keys(command.options), 'help'].map((name) => `--${name}`);
    if (last.startsWith('-') || found.rest.length > 0) return starting(options, last);
    return starting([...choicesOf(command.takes), ...options, ...nextWords(before)], last);
  }
  return starting(nextWords(before), last);
}

const nextWords = (before: readonly string[]): string[] => [
  ...new Set(
    commands
      .filter(({ words }) => before.every((word, at) => words[at] === word) && words.length > before.length)
      .map(({ words }) => words[before.length] ?? ''),
  ),
];

/** The words of a command that takes one of several: `bash|zsh|fish`. */
const choicesOf = (takes = ''): string[] => (/^[a-z-]+(\|[a-z-]+)+$/.test(takes) ? takes.split('|') : []);

const starting = (words: readonly string[], prefix: string) => words.filter((word) => word.startsWith(prefix));
