import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { execForm, readDockerfile } from '../src/docker-file.ts';
import { IMAGE_USER, type Tree } from './production-trees.ts';

const dockerfile = readDockerfile(join(import.meta.dirname, '../../../docker/service.Dockerfile'));

export type Urls = { api: string; public: string; management: string };

export type Started = {
  urls: Urls;
  /** SIGTERM, as an engine stops a container; the exit code. */
  stop(): Promise<number>;
};

export type Ended = { code: number | null; stderr: string };

// Neither a write anywhere, nor a child process, nor a native addon: a root file system that is read-only is no obstacle.
const READS_ONLY = '--permission --allow-fs-read=*';

const words = (command: readonly string[], tree: Tree): [string, string[]] => [
  join(tree.folder, '../../bin', command[0] ?? ''),
  command.slice(1),
];

const optionsOf = (tree: Tree, env: Record<string, string>) => ({ cwd: tree.folder, env, ...IMAGE_USER });

/** Runs a command in a tree to its end, as the image's user: by default the image's entry point, with `command` in place of its CMD. */
export function runInTree(tree: Tree, env: Record<string, string>, command: string[], entry = entryPoint()): Ended {
  const { status, stderr } = spawnSync(...words([...entry, ...command], tree), {
    ...optionsOf(tree, env),
    encoding: 'utf8',
  });
  return { code: status, stderr };
}

/**
 * Starts a tree as the image starts, by its ENTRYPOINT and CMD, and waits until it listens.
 * @param options beside those in `NODE_OPTIONS` that close the tree to writing
 * @throws with its output when it ends before
 */
export async function startTree(tree: Tree, env: Record<string, string>, options = ''): Promise<Started> {
  const [program, args] = words([...entryPoint(), ...execForm(dockerfile, 'CMD')], tree);
  const child: ChildProcess = spawn(program, args, {
    ...optionsOf(tree, { ...env, NODE_OPTIONS: `${READS_ONLY} ${options}` }),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  return untilListening(child);
}

/** A service that was spawned with both its outputs piped, and tells where it listens. @throws with its output when it ends before */
export async function untilListening(child: ChildProcess): Promise<Started> {
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => void output.push(String(chunk)));
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const ready = once(child, 'message') as Promise<[{ ready: Urls }]>;
  const [message] = await Promise.race([
    ready,
    exited.then(([code]) => {
      throw new Error(`it ended with ${code}: ${output.join('')}`);
    }),
  ]);
  return {
    urls: message.ready,
    async stop() {
      child.kill('SIGTERM');
      const [code] = await exited;
      return code ?? 1;
    },
  };
}

/** What the image's HEALTHCHECK runs. */
export const healthCheck = (): string[] => execForm(dockerfile, 'HEALTHCHECK');

const entryPoint = (): string[] => execForm(dockerfile, 'ENTRYPOINT');
