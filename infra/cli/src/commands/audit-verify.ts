import { readFileSync } from 'node:fs';
import { type EventReceipt, verifyReceipt } from '@postern/client';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

export const command = defineCommand({
  takes: 'RECEIPT',
  positionals: [1, 1],
  about: 'Checks offline that an event is in the log: the answer of GET /v1/events/ID/receipt, in a file.',
  options: {
    key: {
      type: 'string',
      value: 'KEY|@FILE',
      about: "the log's verifier line, kept from before (GET /v1/log/key): a receipt's own key proves nothing",
    },
    json: { type: 'boolean', about: 'the verified event' },
  },
  async run({ values, positionals: [file = ''] }, terminal) {
    if (values.key === undefined) throw new CommandFailed(exitCodes.usage, 'postern audit verify RECEIPT needs --key');
    const logKey = values.key.startsWith('@') ? textOf(values.key.slice(1)) : values.key;
    const { event, index, treeSize, origin } = verifyReceipt(receiptIn(file), { logKey });
    terminal.out(
      values.json
        ? JSON.stringify({ event, index, treeSize, origin })
        : `${event.id} is entry ${index} of ${treeSize} in ${origin}`,
    );
    return exitCodes.done;
  },
});

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
