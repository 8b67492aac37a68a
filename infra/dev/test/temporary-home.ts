import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll } from '@jest/globals';

/** A new folder to run a stack in; it is deleted after the last test of the file. */
export function temporaryHome(name: string): string {
  const dir = mkdtempSync(join(tmpdir(), `postern-${name}-`));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
