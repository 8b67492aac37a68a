import { readFileSync } from 'node:fs';
import { CommandFailed, exitCodes } from './outcome.ts';

/** The text of a file that an option names. @throws CommandFailed (64) */
export function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new CommandFailed(exitCodes.usage, `${path} cannot be read`);
  }
}
