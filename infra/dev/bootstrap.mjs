// Brings a bare machine to where everything else can run. No dependency but Node 20 and npm: it runs before anything is installed.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const run = (command, ...args) => execFileSync(command, args, { cwd: root, stdio: 'inherit' });
const modifiedMs = (file) => (existsSync(join(root, file)) ? statSync(join(root, file)).mtimeMs : 0);
const onPath = (program) => process.env.PATH.split(delimiter).some((dir) => existsSync(join(dir, program)));
const stop = (line) => {
  process.stderr.write(`postern: ${line}\n`);
  process.exit(1);
};

// npm writes node_modules/.package-lock.json last, so an interrupted install is seen as stale and repeated.
if (modifiedMs('node_modules/.package-lock.json') < modifiedMs('package-lock.json')) {
  process.stdout.write('postern: installing packages (about a minute the first time)\n');
  run('npm', 'ci', '--no-fund', '--no-audit', '--loglevel=error');
}

const wanted = readFileSync(join(root, '.nvmrc'), 'utf8').trim();
const bundled = join(root, 'node_modules/.bin/node');
const found = execFileSync(existsSync(bundled) ? bundled : process.execPath, ['-v'], { encoding: 'utf8' }).trim();
if (found.split('.')[0] !== `v${wanted}`) {
  stop(
    `Node ${wanted} is needed and npm has no package of it for this system; found ${found}. Install Node ${wanted}.`,
  );
}

const redis = () => onPath('redis-server') || onPath('valkey-server');
if (!redis()) {
  const how = 'Install it (Debian: apt-get install redis-server; macOS: brew install redis).';
  if (process.getuid?.() !== 0 || !onPath('apt-get')) stop(`redis-server is not on PATH. ${how}`);
  process.stdout.write('postern: installing redis-server\n');
  // Only the program is wanted: the package would start a server of its own on the usual port.
  const quiet = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const apt = (...args) => execFileSync('apt-get', args, { stdio: 'inherit', env: { ...process.env, ...quiet } });
  try {
    apt('update', '-qq');
    apt('install', '-y', '-qq', '--no-install-recommends', 'redis-server');
  } catch {
    stop(`apt-get could not install redis-server. ${how}`);
  }
  if (!redis()) stop(`redis-server was installed, but it is not on PATH. ${how}`);
}
