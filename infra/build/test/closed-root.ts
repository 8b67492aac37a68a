import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { IMAGE_USER, type Tree } from './production-trees.ts';
import { untilListening, type Started } from './tree-process.ts';

/** A root file system as the image has one: Node with the libraries that it is linked to, the tree in `/service`, nothing else. */
export type ClosedRoot = {
  megabytes: number;
  /** Starts the service there, as the image's user. @throws with its output when it ends before it listens */
  start(env: Record<string, string>): Promise<Started>;
  /** What Node prints of an expression that it evaluates there. */
  evaluate(expression: string, user?: string): string;
  remove(): void;
};

// In a mount namespace of its own: the root is bound to itself and closed to writing, `/tmp` is memory, as
// `docker run --read-only --tmpfs /tmp` does it. What the service reads of its world is where its settings say.
const ENTER = `
set -e
root=$1; files=$2; user=$3; shift 3
mount --bind "$root" "$root"
mount -t tmpfs -o size=16m,mode=1777 tmpfs "$root/tmp"
mkdir -p "$root$files"
mount --bind "$files" "$root$files"
mount -o remount,bind,ro "$root$files"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" "$root" /usr/local/bin/node "$@"
`;

const USER = `${IMAGE_USER.uid}:${IMAGE_USER.gid}`;

/**
 * Makes the root. Entering it takes the right to mount and to change the root, which root has.
 * @param files what the settings of the service name: seen inside at the same path
 * @throws Error where one may not
 */
export function makeClosedRoot(tree: Tree, files: string): ClosedRoot {
  execFileSync('unshare', ['--mount', 'true'], { stdio: 'pipe' });
  const root = mkdtempSync(join(tmpdir(), 'postern-root-'));
  chmodSync(root, 0o755);
  const into = (path: string) => {
    const place = join(root, path);
    mkdirSync(dirname(place), { recursive: true });
    return place;
  };
  copyFileSync(process.execPath, into('usr/local/bin/node'));
  for (const library of librariesOf(process.execPath)) copyFileSync(library, into(library));
  cpSync(tree.folder, into('service'), { recursive: true });
  execFileSync('cp', ['-a', tree.packages, into('service/node_modules')]);
  for (const folder of ['tmp', files]) mkdirSync(join(root, folder), { recursive: true });
  // As every engine writes it.
  writeFileSync(into('etc/hosts'), '127.0.0.1 localhost\n');
  const entering = (user: string, args: string[]) => [
    '--mount',
    'sh',
    '-c',
    ENTER,
    'enter',
    root,
    files,
    user,
    ...args,
  ];
  return {
    megabytes: Number(execFileSync('du', ['-sm', root], { encoding: 'utf8' }).split('\t')[0]),
    start(env) {
      const child = spawn('unshare', entering(USER, ['/service/main.js']), {
        env: { ...env, PATH: process.env['PATH'] ?? '' },
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      });
      return untilListening(child);
    },
    evaluate(expression, user = USER) {
      const { status, stdout, stderr } = spawnSync('unshare', entering(user, ['-p', expression]), { encoding: 'utf8' });
      if (status !== 0) throw new Error(stderr);
      return stdout.trim();
    },
    remove: () => {
      execFileSync('chmod', ['-R', 'u+w', root]);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** The files that the loader takes for a program, itself among them. */
function librariesOf(program: string): string[] {
  const listed = execFileSync('ldd', [program], { encoding: 'utf8' });
  return [...listed.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
}
