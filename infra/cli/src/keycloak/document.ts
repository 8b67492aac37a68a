import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import {
  compileRealm,
  DocumentRefused,
  modelsOf,
  readDocument,
  written,
  type PosternDocument,
} from '@postern/keycloak';
import { painter } from '../colours.ts';
import { CommandFailed, exitCodes, type Terminal } from '../outcome.ts';
import { type Option } from '../table/command.ts';
import { textOf } from '../text-of.ts';

/** The option of every command that reads `postern.toml`. */
export const fileOption = {
  file: {
    type: 'string',
    short: 'f',
    value: 'FILE',
    default: 'postern.toml',
    about: 'the document; - reads standard input',
  },
} as const satisfies Record<string, Option>;

export async function documentText(file: string, terminal: Terminal): Promise<string> {
  if (file === '-') return terminal.input();
  return textOf(file, terminal);
}

/**
 * Reads and checks the document, with the files beside it.
 * @throws CommandFailed (2) with a line for each problem: file, line, key, what is allowed, the control
 */
export async function openDocument(file: string, terminal: Terminal): Promise<PosternDocument> {
  return checked(await documentText(file, terminal), file, terminal);
}

export function checked(text: string, file: string, terminal: Terminal): PosternDocument {
  const folder = file === '-' ? terminal.folder : dirname(resolve(terminal.folder, file));
  const beside = (name: string) => {
    try {
      return readFileSync(resolve(folder, name), 'utf8');
    } catch {
      return undefined;
    }
  };
  try {
    return readDocument(text, { file, now: new Date(), beside });
  } catch (error) {
    if (error instanceof DocumentRefused)
      throw new CommandFailed(exitCodes.invalid, error.problems.map(written).join('\n'), { problems: error.problems });
    throw error;
  }
}

/** The realms of the document as they are compiled, or the one of this name. @throws CommandFailed (64) naming those that there are */
export function compiledRealms(document: PosternDocument, name: string | undefined, option: string) {
  const chosen = modelsOf(document).filter((model) => name === undefined || model.name === name);
  if (name !== undefined && chosen.length === 0)
    throw new CommandFailed(
      exitCodes.usage,
      `${option} ${name}: the document has no such realm; it has ${document.realms.map((realm) => realm.name).join(', ')}`,
    );
  return chosen.map(compileRealm);
}

/** What an assessor must see, on stderr: it is not part of a command's result. */
export function tellFindings({ findings, file }: PosternDocument, terminal: Terminal): void {
  const paint = painter(terminal, 'err');
  const colours = { note: 'dim', warning: 'yellow', high: 'red' } as const;
  for (const { severity, line, key, message, control, suggestion, waiver } of findings) {
    const waived = waiver ? `; waived until ${waiver.expires} by ${waiver.approvedBy}: ${waiver.reason}` : '';
    const advice = suggestion ? `; better: ${suggestion}` : '';
    terminal.err(
      paint(
        colours[severity],
        `${severity} ${file}:${line} ${key}: ${message}${control ? ` [${control}]` : ''}${advice}${waived}`,
      ),
    );
  }
}
