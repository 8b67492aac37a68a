import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { CommandFailed, exitCodes, type Terminal } from './outcome.ts';

/** The text of a file that an option names. @throws CommandFailed (64) */
export function textOf(path: string, { folder }: Pick<Terminal, 'folder'>): string {
  try {
    return readFileSync(resolve(folder, path), 'utf8');
  } catch {
    throw new CommandFailed(exitCodes.usage, `${path} cannot be read`);
  }
}

/** The value of an option that is the text itself, or after `@` the file with it. @throws CommandFailed (64) */
export const given = (value: string, terminal: Pick<Terminal, 'folder'>): string =>
  value.startsWith('@') ? textOf(value.slice(1), terminal) : value;
