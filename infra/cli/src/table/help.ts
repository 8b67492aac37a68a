import { type Command, type Entry, type Option } from './command.ts';
import { type Section } from './commands.ts';

const column = (rows: readonly (readonly [string, string])[], width = widthOf(rows)): string =>
  rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n');

const widthOf = (rows: readonly (readonly [string, string])[]) => Math.max(0, ...rows.map(([left]) => left.length));

const written = (name: string, { type, value, short }: Option): string =>
  `${short ? `-${short}, ` : ''}--${name}${type === 'string' ? ` ${value ?? 'VALUE'}` : ''}`;

const told = ({ about, among, default: standard }: Option): string => {
  const choice = among ? ` (${among.join(', ')})` : '';
  return `${about}${choice}${standard === undefined ? '' : `; ${standard} unless given`}`;
};

/** The first line of a command's help: its words, what it takes. */
export function usageOf(words: readonly string[], { takes, options }: Command): string {
  return ['postern', ...words, takes, Object.keys(options).length > 0 ? '[OPTIONS]' : undefined]
    .filter(Boolean)
    .join(' ');
}

/** What `postern COMMAND --help` prints. */
export function helpOf(words: readonly string[], command: Command): string {
  const rows = Object.entries(command.options).map(([name, option]) => [written(name, option), told(option)] as const);
  return [usageOf(words, command), command.about, ...(rows.length > 0 ? [column(rows)] : [])].join('\n\n');
}

const closing = `postern COMMAND --help says more; postern --version which one this is.
Exit codes: 0 done, 1 refused, 2 an invalid document, 3 drift, 64 usage, 66 a file cannot be read, 69 unreachable,
70 a fault of the command's own, 73 a file cannot be written, 78 something is not set up here.`;

/** The list of commands, of all or of those in `some`, under the titles of their sections. */
export function listOf(sections: readonly Section[], some?: readonly Entry[]): string {
  const shown = sections
    .map(({ title, entries }) => ({ title, entries: entries.filter((one) => !some || some.includes(one)) }))
    .filter(({ entries }) => entries.length > 0)
    .map(({ title, entries }) => ({
      title,
      rows: entries.map(({ words, summary }) => [`postern ${words.join(' ')}`, summary] as const),
    }));
  const width = widthOf(shown.flatMap(({ rows }) => rows));
  const parts = shown.map(({ title, rows }) => `${title}\n${column(rows, width)}`);
  return ['postern COMMAND [...]', ...parts, closing].join('\n\n');
}
