import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { leafHash, tilePath } from '@postern/transparency';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { logKeysIn } from './log-keys.ts';
import { entriesIn, type Log } from './verify-whole.ts';

/**
 * A log as audit-sink publishes it into a folder: a checkpoint and its entry bundles. There are no tiles of hashes: an entry
 * that does not fit shows at the root, and by the chain of its producer. Null for what is no folder.
 */
export function folderLog(path: string): Log | null {
  if (!existsSync(path) || !statSync(path).isDirectory()) return null;
  const bundle = (index: number, width: number): Buffer[] => {
    const file = join(path, tilePath('entries', index, width));
    return existsSync(file) ? entriesIn(readFileSync(file), index) : [];
  };
  const [keys, closings] = [join(path, 'keys.json'), join(path, 'closings')];
  return {
    checkpoint: checkpointIn(path),
    keys: existsSync(keys) ? logKeysIn(readFileSync(keys, 'utf8')) : [],
    closings: existsSync(closings) ? readFileSync(closings, 'utf8') : null,
    source: {
      bundle: async (index, width) => bundle(index, width),
      tile: async (level, index, width) => (level === 0 ? bundle(index, width).map(leafHash) : null),
    },
  };
}

/** @throws CommandFailed (64) */
function checkpointIn(path: string): string {
  try {
    return readFileSync(join(path, 'checkpoint'), 'utf8');
  } catch {
    throw new CommandFailed(exitCodes.usage, `${path} is no published log: it has no checkpoint`);
  }
}
