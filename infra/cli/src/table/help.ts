import { type Entry, type Command, type Option } from './command.ts';

const column = (rows: readonly (readonly [string, string])[]): string => {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n');
};

const written = (name: string, { type, value, short }: Option): string =>
  `${short ? `-${short}, ` : ''}--${name}${type === 'string' ? ` ${value ?? 'VALUE'}` : ''}`;

const told = ({ about, among, default: standard }: Option): string => {
  const choice = among ? ` (${among.join(', ')})` : '';
  return `${about}${choice}${standard === undefined ? '' : `; ${standard} unless given`}`;
};

/** What `postern COMMAND --help` prints. */
export function helpOf(words: readonly string[], command: Command): string {
  const names = Object.keys(command.options);
  const head = ['postern', ...words, command.takes, names.length > 0 ? '[OPTIONS]' : undefined].filter(Boolean);
  const rows = names.map((name) => {
    const option = command.options[name] as Option;
    return [written(name, option), told(option)] as const;
  });
  return [head.join(' '), command.about, ...(rows.length > 0 ? [column(rows)] : [])].join('\n\n');
}

const exits =
  'Exit codes: 0 done, 1 refused, 2 an invalid document, 3 drift, 64 usage, 69 unreachable, 78 no stack here.';

/** The list of commands, of all or of those that begin with the given words. */
export function listOf(entries: readonly Entry[]): string {
  const rows = entries.map(({ words, summary }) => [`postern ${words.join(' ')}`, summary] as const);
  return ['postern COMMAND [...]', column(rows), `postern COMMAND --help says more. ${exits}`].join('\n\n');
}
