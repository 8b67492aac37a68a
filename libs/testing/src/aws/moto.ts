import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '../run/free-port.ts';
import { startLeashed } from '../run/leash.ts';
import { testRun } from '../run/test-run.ts';

/** AWS KMS, STS and Secrets Manager as moto has them. What it does not do: refuse disabled keys, throttle, verify tokens. */
export type Moto = { endpoint: string; close(): Promise<void> };

const VERSION = '5.2.5';
const cacheDirectory = join(dirname(fileURLToPath(import.meta.url)), '../../../../.cache');
const START_TIMEOUT_MS = 60_000;
const run = promisify(execFile);

/** Starts moto on loopback. It is installed from PyPI into the checkout's cache folder at first use. */
export async function startMoto(): Promise<Moto> {
  const python = join(await installed(), 'bin', 'python');
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const command = [python, '-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)];
  const logFile = join(testRun().directory, `moto-${port}.log`);
  const server = startLeashed(command, { logFile, stopSignal: 'TERM' });
  await Promise.race([answering(endpoint), server.ended]);
  return { endpoint, close: () => server.stop() };
}

async function installed(): Promise<string> {
  const home = join(cacheDirectory, `moto-${VERSION}`);
  if (existsSync(home)) return home;
  await mkdir(cacheDirectory, { recursive: true });
  const draft = await mkdtemp(`${home}-`);
  try {
    await run('python3', ['-m', 'venv', draft]);
    await run(join(draft, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', `moto[server]==${VERSION}`]);
    // Whole or not at all; a suite that was faster has made the same.
    await rename(draft, home);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!existsSync(home)) throw error;
  }
  return home;
}

async function answering(endpoint: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const answer = await fetch(`${endpoint}/moto-api/data.json`).catch(() => null);
    if (answer?.ok) return void (await answer.arrayBuffer());
    await sleep(100);
  }
  throw new Error('moto did not answer in time');
}
