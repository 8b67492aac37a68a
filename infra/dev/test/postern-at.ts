import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const POSTERN = resolve(import.meta.dirname, '../../cli/bin/postern.mjs');

/** What the `postern` command says, where the running stack's home is `home`. @throws where it ends with another code than 0 */
export async function posternAt(home: string, ...argv: string[]): Promise<string> {
  const cwd = mkdtempSync(join(tmpdir(), 'postern-at-'));
  symlinkSync(home, join(cwd, '.postern'));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [POSTERN, ...argv], { cwd });
    return stdout.trim();
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}
