import { CommandFailed, type ExitCode, exitCodes, type Terminal } from './outcome.ts';
import { painter } from './colours.ts';
import { commands } from './table/commands.ts';
import { find, group } from './table/find.ts';
import { helpOf, listOf } from './table/help.ts';
import { parse } from './table/parse.ts';

const asksForHelp = (argv: readonly string[]) => argv.includes('--help') || argv.includes('-h');

/** Runs one command line (without `node` and the script). Never throws: every outcome is an exit code. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const found = find(commands, argv);
  if (!found) return list(argv, terminal);
  const { entry, rest } = found;
  try {
    const { command } = await entry.load();
    // After `--` stand words of somebody else's line.
    const own = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest;
    if (asksForHelp(own)) {
      terminal.out(helpOf(entry.words, command));
      return exitCodes.done;
    }
    return await command.run(parse(entry.words, command, rest), terminal);
  } catch (error) {
    return explained(error, terminal);
  }
}

/** No command: the list, of a group where its words were given; asked for on stdout, else on stderr. */
function list(argv: readonly string[], terminal: Terminal): ExitCode {
  const some = group(commands, argv);
  const asked = argv[0] === 'help' || asksForHelp(argv);
  const known = some.length > 0 || argv.length === 0 || argv[0]?.startsWith('-') || argv[0] === 'help';
  if (!known) terminal.err(painter(terminal)('red', `there is no command ${argv.slice(0, 3).join(' ')}`));
  (asked ? terminal.out : terminal.err)(listOf(some.length > 0 ? some : commands));
  return asked ? exitCodes.done : exitCodes.usage;
}

/** What `PosternError` of the client library says of itself; not imported, so that only its commands load it. */
type FromService = { name: 'PosternError'; status?: number; code: string; message: string };

function explained(error: unknown, terminal: Terminal): ExitCode {
  const red = (text: string) => terminal.err(painter(terminal)('red', text));
  if (error instanceof CommandFailed) {
    red(error.message);
    return error.exitCode;
  }
  if (error instanceof Error && error.name === 'PosternError') {
    const { status, code, message } = error as Error & FromService;
    red(message);
    return status !== undefined || code === 'receipt_refused' || code === 'export_refused'
      ? exitCodes.refused
      : exitCodes.unreachable;
  }
  // `JSON.parse` quotes what it read, and that may be a secret.
  if (error instanceof SyntaxError) {
    red('what was read is not JSON');
    return exitCodes.software;
  }
  const { message } = error as { message?: unknown };
  red(typeof message === 'string' ? message : 'failed');
  return exitCodes.software;
}
