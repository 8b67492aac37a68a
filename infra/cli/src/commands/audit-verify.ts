import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type EventReceipt, verifyReceipt } from '@postern/client';
import { CommandFailed, type ExitCode, exitCodes, type Terminal } from '../outcome.ts';

export const auditVerifyUsage = `postern audit verify RECEIPT --key KEY|@FILE [--json]

Checks offline that an event is in the log: the answer of GET /v1/events/ID/receipt, in a file.
  --key KEY|@FILE  the log's verifier line, kept from before (GET /v1/log/key): a receipt's own key proves nothing
  --json           the verified event`;

/** `audit verify`: the one subcommand so far. */
export async function auditVerify(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { key: { type: 'string' }, json: { type: 'boolean', default: false } },
  });
  const [subcommand, file] = positionals;
  if (subcommand !== 'verify' || file === undefined || values.key === undefined) {
    throw new CommandFailed(exitCodes.usage, auditVerifyUsage);
  }
  const logKey = values.key.startsWith('@') ? textOf(values.key.slice(1)) : values.key;
  const { event, index, treeSize, origin } = verifyReceipt(receiptIn(file), { logKey });
  terminal.out(
    values.json
      ? JSON.stringify({ event, index, treeSize, origin })
      : `${event.id} is entry ${index} of ${treeSize} in ${origin}`,
  );
  return exitCodes.done;
}

function receiptIn(file: string): EventReceipt {
  try {
    return JSON.parse(textOf(file)) as EventReceipt;
  } catch (error) {
    if (error instanceof CommandFailed) throw error;
    throw new CommandFailed(exitCodes.usage, `${file} is not a receipt`);
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new CommandFailed(exitCodes.usage, `${file} cannot be read`);
  }
}
