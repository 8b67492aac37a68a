import { execForm, readDockerfile } from '@postern/build';
import { type Stack } from '@postern/dev';
import { freePort } from '@postern/testing';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';

const root = fileURLToPath(new URL('../../../', import.meta.url));
/** crypto-store's production tree, since that is what is deployed, started by the image's own words; its packages are the workspace's. */
const tree = join(root, 'dist/apps/crypto-store');
const image = readDockerfile(join(root, 'docker/service.Dockerfile'));
const [, ...words] = [...execForm(image, 'ENTRYPOINT'), ...execForm(image, 'CMD')];

/** What `--import` names where tracing is on. */
export const tracingOfTree = join(tree, 'otel.js');

export function buildTree(): void {
  execFileSync(process.execPath, ['infra/build/bundle.ts', 'apps/crypto-store'], { cwd: root, stdio: 'pipe' });
}

export type TreeService = { child: ChildProcess; pid: number; api: string };

/** One more crypto-store of a stack, from its tree and on ports of its own; resolves when it is ready. */
export async function startFromTree(stack: Stack, more: Record<string, string> = {}): Promise<TreeService> {
  const [api, pub, management] = [await freePort(), await freePort(), await freePort()];
  const env = {
    ...stack.environmentOf('crypto-store'),
    POSTERN_API_PORT: String(api),
    POSTERN_PUBLIC_PORT: String(pub),
    POSTERN_MANAGEMENT_PORT: String(management),
    ...more,
  };
  const child = spawn(process.execPath, words, { cwd: tree, env, stdio: 'ignore' });
  for (;;) {
    const answer = await request(`http://127.0.0.1:${management}/health/ready`).catch(() => undefined);
    await answer?.body.dump();
    if (answer?.statusCode === 200) return { child, pid: child.pid ?? 0, api: `https://127.0.0.1:${api}` };
    if (child.exitCode !== null) throw new Error(`the service from its tree ended with ${child.exitCode}`);
    await delay(10);
  }
}

/** Ends a process at once, as what is measured needs no drain. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}
