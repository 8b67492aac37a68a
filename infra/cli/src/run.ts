import manifest from '../package.json' with { type: 'json' };
import { CommandFailed, type ExitCode, exitCodes, type Terminal } from './outcome.ts';
import { painter } from './colours.ts';
import { fileTrouble, isFileTrouble } from './file-trouble.ts';
import { commands, sections } from './table/commands.ts';
import { find, group } from './table/find.ts';
import { helpOf, listOf } from './table/help.ts';
import { nearest } from './table/nearest.ts';
import { parse } from './table/parse.ts';

const asksForHelp = (argv: readonly string[]) => argv.includes('--help') || argv.includes('-h');

/** Runs one command line (without `node` and the script). Never throws: every outcome is an exit code. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  if (argv[0] === '--version') {
    terminal.out(manifest.version);
    return exitCodes.done;
  }
  const [first, ...others] = argv;
  const asked = first === 'help' && others.length > 0 ? [...others, '--help'] : argv;
  const found = find(commands, asked);
  if (!found) return list(asked, terminal);
  const { entry, rest } = found;
  // After `--` stand words of somebody else's line.
  const own = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest;
  try {
    const { command } = await entry.load();
    if (asksForHelp(own)) {
      terminal.out(helpOf(entry.words, command));
      return exitCodes.done;
    }
    return await command.run(parse(entry.words, command, rest), terminal);
  } catch (error) {
    const { exitCode, message, details = {} } = explained(error);
    terminal.err(painter(terminal, 'err')('red', message));
    if (own.includes('--json')) terminal.out(JSON.stringify({ error: { exitCode, message, ...details } }));
    return exitCode;
  }
}

/** No command: the list, of a group where its words were given; asked for on stdout, else on stderr. */
function list(argv: readonly string[], terminal: Terminal): ExitCode {
  const some = group(commands, argv);
  const asked = argv[0] === 'help' || asksForHelp(argv);
  const known = some.length > 0 || argv.length === 0 || argv[0]?.startsWith('-') || argv[0] === 'help';
  if (known) {
    (asked ? terminal.out : terminal.err)(listOf(sections, some.length > 0 ? some : undefined));
    return asked ? exitCodes.done : exitCodes.usage;
  }
  const words = argv.filter((word) => !word.startsWith('-')).slice(0, 3);
  const meant = likely(words);
  const red = painter(terminal, 'err');
  terminal.err(red('red', `there is no command ${words.join(' ')}${meant ? `: do you mean ${meant}?` : ''}`));
  terminal.err('postern --help lists them');
  return exitCodes.usage;
}

/** The command that begins most likely with these words; what follows them are its own. */
function likely(words: readonly string[]): string | undefined {
  const known = commands.map((one) => one.words.join(' '));
  for (let count = words.length; count > 0; count -= 1) {
    const one = nearest(words.slice(0, count).join(' '), known);
    if (one !== undefined) return `postern ${one}`;
  }
  return undefined;
}

/** What `PosternError` of the client library says of itself; not imported, so that only its commands load it. */
type FromService = { name: 'PosternError'; status?: number; code: string; message: string };

type Failure = { exitCode: ExitCode; message: string; details?: Readonly<Record<string, unknown>> };

function explained(error: unknown): Failure {
  if (error instanceof CommandFailed) return error;
  if (error instanceof Error && error.name === 'PosternError') {
    const { status, code, message } = error as Error & FromService;
    const refused = status !== undefined || code === 'receipt_refused' || code === 'export_refused';
    return { exitCode: refused ? exitCodes.refused : exitCodes.unreachable, message };
  }
  if (isFileTrouble(error)) return { exitCode: exitCodes.cannotWrite, message: `${error.path}: ${fileTrouble(error)}` };
  // `JSON.parse` quotes what it read, and that may be a secret.
  if (error instanceof SyntaxError) return { exitCode: exitCodes.software, message: 'what was read is not JSON' };
  const { message } = error as { message?: unknown };
  return { exitCode: exitCodes.software, message: typeof message === 'string' ? message : 'failed' };
}
