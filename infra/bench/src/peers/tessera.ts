import { freePort, goProgram, startLeashed } from '@postern/testing';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const VERSION = 'v1.0.4';
const cache = fileURLToPath(new URL(`../../../../.cache/tessera-${VERSION}`, import.meta.url));
const START_TIMEOUT_MS = 20_000;

/** Tessera's own POSIX log server, built by Go into the checkout's cache folder at first use. */
export async function startTessera(): Promise<{ url: string; pid: number; close(): Promise<void> }> {
  const binary = join(cache, 'posix');
  if (!existsSync(binary)) {
    mkdirSync(cache, { recursive: true });
    const module = `github.com/transparency-dev/tessera/cmd/conformance/posix@${VERSION}`;
    await promisify(execFile)(goProgram(), ['install', module], { env: { ...process.env, GOBIN: cache } });
  }
  const folder = mkdtempSync(join(tmpdir(), 'tessera-'));
  const key = join(folder, 'key');
  writeFileSync(key, signerLine('bench.example/log'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = startLeashed(
    [binary, '--storage_dir', join(folder, 'log'), '--private_key', key, '--listen', `127.0.0.1:${port}`],
    {
      logFile: join(folder, 'log.txt'),
      stopSignal: 'TERM',
      env: process.env,
    },
  );
  const until = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const answer = await fetch(`${url}/checkpoint`).catch(() => null);
    if (answer) break;
    if (performance.now() > until) throw new Error('Tessera did not answer in time');
    await Promise.race([delay(100), server.ended]);
  }
  return {
    url,
    pid: server.pid,
    async close() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A private key as Go's `note.GenerateKey` writes it: `PRIVATE+KEY+name+hash+base64(0x01 || seed)`. */
function signerLine(name: string): string {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32);
  const open = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  const id = createHash('sha256').update(`${name}\n`).update(Buffer.of(1)).update(open).digest('hex').slice(0, 8);
  return `PRIVATE+KEY+${name}+${id}+${Buffer.concat([Buffer.of(1), seed]).toString('base64')}`;
}
