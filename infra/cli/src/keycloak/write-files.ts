import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type OutputFile } from '@postern/keycloak';
import { type Terminal } from '../outcome.ts';

/** Writes files below a folder, each whole or not at all, and says which. */
export function writeFiles(files: readonly OutputFile[], folder: string, terminal: Terminal): void {
  for (const { path, text, executable } of files) {
    const target = resolve(terminal.folder, folder, path);
    mkdirSync(dirname(target), { recursive: true });
    const draft = join(dirname(target), `.${Date.now()}-${process.pid}.draft`);
    writeFileSync(draft, text);
    if (executable) chmodSync(draft, 0o755);
    renameSync(draft, target);
    terminal.err(`wrote ${join(folder, path)}`);
  }
}
