import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileTrouble } from './file-trouble.ts';
import { CommandFailed, exitCodes, type Terminal } from './outcome.ts';

/** The text of a file that the command line names. @throws CommandFailed (66) saying why it cannot be read */
export function textOf(path: string, { folder }: Pick<Terminal, 'folder'>): string {
  try {
    return readFileSync(resolve(folder, path), 'utf8');
  } catch (error) {
    throw new CommandFailed(exitCodes.noInput, `${path} cannot be read: ${fileTrouble(error)}`);
  }
}

/** The value of an option that is the text itself, or after `@` the file with it. @throws CommandFailed (66) */
export const given = (value: string, terminal: Pick<Terminal, 'folder'>): string =>
  value.startsWith('@') ? textOf(value.slice(1), terminal) : value;
