import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { exitCodes, type ExitCode, type Terminal } from '../outcome.ts';
import { checked, documentText, tellFindings } from './document.ts';

/** A TOML basic string. */
export const tomlText = (text: string): string => JSON.stringify(text).replace(/\u007f/g, '\\u007f');
export const tomlList = (texts: readonly string[]): string => `[${texts.map(tomlText).join(', ')}]`;

/** Adds a table to the end of the document: the result is checked as a whole, and written only if it may be used. */
export async function appendTable(
  { file, dry, first = '' }: { file: string; dry: boolean; first?: string },
  lines: readonly string[],
  terminal: Terminal,
): Promise<ExitCode> {
  const target = resolve(terminal.folder, file);
  const before = existsSync(target) ? await documentText(file, terminal) : first;
  const table = `\n${lines.join('\n')}\n`;
  const text = `${before.replace(/\n*$/, '\n')}${table}`;
  tellFindings(checked(text, file, terminal), terminal);
  if (dry) terminal.out(table.trim());
  else {
    writeFileSync(`${target}.draft`, text);
    renameSync(`${target}.draft`, target);
    terminal.out(`added ${lines[0]} to ${file}`);
  }
  return exitCodes.done;
}
