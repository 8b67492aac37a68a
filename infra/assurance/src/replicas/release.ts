import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../../..');

/**
 * The applications and libraries of a commit, in a folder from which they run. Their third-party packages are those that this
 * checkout has installed; their first-party ones are their own.
 * @throws Error where there is no such commit
 */
export function checkOut(reference: string, folder: string): string {
  mkdirSync(join(folder, 'node_modules/@postern'), { recursive: true });
  const archive = execFileSync('git', ['archive', reference, 'package.json', 'apps', 'libs'], {
    cwd: root,
    maxBuffer: 1 << 28,
  });
  execFileSync('tar', ['-x', '-C', folder], { input: archive });
  const installed = join(root, 'node_modules');
  for (const name of readdirSync(installed).filter((each) => each !== '@postern'))
    symlinkSync(join(installed, name), join(folder, 'node_modules', name));
  for (const name of readdirSync(join(folder, 'libs')))
    symlinkSync(join(folder, 'libs', name), join(folder, 'node_modules/@postern', name));
  return folder;
}
