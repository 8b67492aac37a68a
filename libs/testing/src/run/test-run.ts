import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Names the file that says where the servers of this test run are. `npm test` sets it. */
export const TEST_RUN_VARIABLE = 'POSTERN_TEST_RUN';

/** What specs of one run share. */
export type TestRun = {
  /** Certificates and the like, gone after the run. */
  directory: string;
  postgres?: { port: number };
  redis?: { cache: { port: number }; bus: { port: number }; adminPassword: string };
};

let own: TestRun | undefined;

/** The run that this process is part of, or one of its own that ends with the process. */
export function testRun(): TestRun {
  const file = process.env[TEST_RUN_VARIABLE];
  if (file !== undefined) return JSON.parse(readFileSync(file, 'utf8')) as TestRun;
  own ??= ownRun();
  return own;
}

function ownRun(): TestRun {
  const directory = mkdtempSync(join(tmpdir(), 'postern-test-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  return { directory };
}
