import { PosternError } from '@postern/client';
import { auditVerify, auditVerifyUsage } from './commands/audit-verify.ts';
import { call, callUsage } from './commands/call.ts';
import { token, tokenUsage } from './commands/token.ts';
import { CommandFailed, type ExitCode, exitCodes, type Terminal } from './outcome.ts';

type Command = { run(argv: readonly string[], terminal: Terminal): Promise<ExitCode>; usage: string };

const commands: Record<string, Command> = {
  call: { run: call, usage: callUsage },
  token: { run: token, usage: tokenUsage },
  audit: { run: auditVerify, usage: auditVerifyUsage },
};

const usage = `postern COMMAND [...]

  postern call METHOD SERVICE/PATH   call a service over mTLS
  postern token --as NAME            a token of the development stack
  postern audit verify RECEIPT       check an event's receipt, offline

postern COMMAND --help says more. Exit codes: 0 done, 1 refused, 64 usage, 69 unreachable, 78 no stack here.`;

/** Runs one command line (without `node` and the script). Never throws: every outcome is an exit code. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const [name = '', ...rest] = argv;
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) {
    const asked = name === '--help' || name === '-h' || name === 'help';
    (asked ? terminal.out : terminal.err)(usage);
    return asked ? exitCodes.done : exitCodes.usage;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    terminal.out(command.usage);
    return exitCodes.done;
  }
  try {
    return await command.run(rest, terminal);
  } catch (error) {
    return explained(error, command, terminal);
  }
}

function explained(error: unknown, { usage }: Command, terminal: Terminal): ExitCode {
  if (error instanceof CommandFailed) {
    terminal.err(error.message);
    return error.exitCode;
  }
  if (error instanceof PosternError) {
    terminal.err(error.message);
    const answered = error.status !== undefined || error.code === 'receipt_refused';
    return answered ? exitCodes.refused : exitCodes.unreachable;
  }
  // node:util names the option that it does not know.
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS')) {
    terminal.err(`${String(message)}\n\n${usage}`);
    return exitCodes.usage;
  }
  terminal.err(typeof message === 'string' ? message : 'failed');
  return exitCodes.software;
}
