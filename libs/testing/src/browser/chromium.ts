import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const cacheDirectory = join(dirname(fileURLToPath(import.meta.url)), '../../../../.cache');

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];
/** The browser, a font for its pages, and what tells it whom to trust. */
const PACKAGES = ['chromium', 'fonts-liberation', 'libnss3-tools'];
const HOW = 'Install it (Debian: apt-get install chromium fonts-liberation libnss3-tools).';

/** The browser and `certutil`, which writes its list of trusted authorities. */
export type Chromium = { browser: string; certutil: string };

/**
 * Chromium as it is installed, or else installed now from Debian, as root: some 40 s and 300 MB, once a machine.
 * @throws Error where it is not installed and cannot be
 */
export async function chromiumPrograms(): Promise<Chromium> {
  const installed = onThisMachine();
  if (installed !== undefined) return installed;
  if (process.getuid?.() !== 0 || find(['apt-get']) === undefined) throw new Error(`Chromium is not on PATH. ${HOW}`);
  await install();
  const found = onThisMachine();
  if (found === undefined) throw new Error(`Chromium was installed, but it is not on PATH. ${HOW}`);
  return found;
}

function onThisMachine(): Chromium | undefined {
  const [browser, certutil] = [find(NAMES), find(['certutil'])];
  return browser === undefined || certutil === undefined ? undefined : { browser, certutil };
}

function find(names: readonly string[]): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
}

/** Suites that start together wait for the first of them, which has then done their work. */
async function install(): Promise<void> {
  await mkdir(cacheDirectory, { recursive: true });
  const steps = [
    'command -v chromium >/dev/null && command -v certutil >/dev/null && exit 0',
    'apt-get update -qq',
    `apt-get install -y -qq --no-install-recommends ${PACKAGES.join(' ')}`,
  ].join('\n');
  const lock = join(cacheDirectory, 'chromium.lock');
  try {
    await run('flock', [lock, 'sh', '-ec', steps], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      maxBuffer: 16 * 1024 * 1024,
    });
  } catch (cause) {
    throw new Error(`apt-get could not install Chromium. ${HOW}`, { cause });
  }
}
