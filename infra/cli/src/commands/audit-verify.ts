import { resolve } from 'node:path';
import { type EventReceipt, ExportRefused, verifyExport, verifyReceipt } from '@postern/client';
import { LogAltered, NoteRefused } from '@postern/transparency';
import { folderLog } from '../log/folder-log.ts';
import { openLiveLog } from '../log/live-log.ts';
import { verifyRecords } from '../log/verify-records.ts';
import { verifyWhole, type Log } from '../log/verify-whole.ts';
import { counted } from '../counted.ts';
import { CommandFailed, exitCodes, type Terminal } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';
import { given, textOf } from '../text-of.ts';

export const command = defineCommand({
  takes: '[RECEIPT|EXPORT|FOLDER]',
  positionals: [0, 1],
  about:
    'Verifies the log without its database, and names the first entry that does not fit: a receipt or an export in a file, a published log in a folder, offline; or with --live the log of the development stack, entry by entry.',
  options: {
    key: {
      type: 'string',
      value: 'KEY|@FILE',
      about: "the log's verifier line, kept from before (GET /v1/log/key): a log's own word proves nothing",
    },
    live: { type: 'boolean', about: 'the log of the development stack, through its tiles' },
    records: {
      type: 'boolean',
      about: "every record's version and hash at crypto-store against the log's last write of it (R34)",
    },
    since: {
      type: 'string',
      value: 'FILE',
      about: 'a checkpoint that was kept from before: the log must extend it; with --live',
    },
    as: { type: 'string', value: 'NAME', default: 'audrey', about: 'the auditor of the development stack' },
    json: { type: 'boolean', about: 'what was verified, as JSON' },
  },
  async run({ values, positionals: [file] }, terminal) {
    const said = (value: object, line: string) => {
      terminal.out(values.json ? JSON.stringify(value) : line);
      return exitCodes.done;
    };
    const logKey = keyIn(values.key, terminal);
    try {
      if (values.records || values.live) {
        const live = await openLiveLog(terminal.folder, values.as);
        try {
          if (values.records) {
            const found = await verifyRecords(live, logKey);
            const left =
              found.unjudged > 0 ? `; of ${counted(found.unjudged, 'version')} it no longer shows the write` : '';
            return said(found, `${found.records} records stand as the log says they were last written${left}`);
          }
          const since = values.since === undefined ? undefined : textOf(values.since, terminal);
          return await whole(await live.log(), logKey, since);
        } finally {
          await live.close();
        }
      }
      if (file === undefined)
        throw new CommandFailed(exitCodes.usage, 'postern audit verify RECEIPT|EXPORT|FOLDER, or --live');
      const folder = folderLog(resolve(terminal.folder, file));
      if (folder) return await whole(folder, logKey);
      const text = textOf(file, terminal);
      if (text.startsWith('{"log"')) {
        const verified = await verifyExport(text.split('\n'), { logKey });
        return said(
          verified,
          `${counted(verified.events, 'event')} of ${verified.origin}, entries ${verified.begin} to ${verified.end} of ${verified.treeSize}: none is missing`,
        );
      }
      const { event, index, treeSize, origin } = verifyReceipt(receiptIn(file, text), { logKey });
      return said({ event, index, treeSize, origin }, `${event.id} is entry ${index} of ${treeSize} in ${origin}`);
    } catch (error) {
      if (error instanceof LogAltered || error instanceof ExportRefused || error instanceof NoteRefused) {
        throw new CommandFailed(exitCodes.refused, error.message, { index: 'index' in error ? error.index : null });
      }
      throw error;
    }

    async function whole(log: Log, key: string, since?: string) {
      const { entries, size, origin } = await verifyWhole(log, key, since);
      return said(
        { entries, size, origin },
        `${entries} of ${size} entries of ${origin} verified, up to the signed root`,
      );
    }
  },
});

function keyIn(key: string | undefined, terminal: Terminal): string {
  if (key === undefined) throw new CommandFailed(exitCodes.usage, 'postern audit verify RECEIPT needs --key');
  return given(key, terminal).trim();
}

function receiptIn(file: string, text: string): EventReceipt {
  try {
    return JSON.parse(text) as EventReceipt;
  } catch {
    throw new CommandFailed(exitCodes.usage, `${file} is neither a receipt nor an export`);
  }
}
