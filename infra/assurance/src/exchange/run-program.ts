import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const HOUR_MS = 3_600_000;
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

type Given = { numbers?: readonly number[]; imports?: readonly string[]; env?: Readonly<Record<string, string>> };

/** Runs a program of token-exchange's tests, which prints what it found as one line of JSON. */
export async function runProgram<Outcome>(program: string, { numbers = [], imports = [], env = {} }: Given) {
  const flags = ['--no-warnings', ...imports.flatMap((module) => ['--import', module])];
  const { stdout } = await run(process.execPath, [...flags, program, ...numbers.map(String)], {
    maxBuffer: MAX_OUTPUT_BYTES,
    timeout: HOUR_MS,
    env: { ...process.env, ...env },
  });
  return JSON.parse(stdout) as Outcome;
}
