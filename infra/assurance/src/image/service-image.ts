import { openHome, quietly, startStack, type Stack } from '@postern/dev';
import { freePort } from '@postern/testing';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request } from 'undici';

import { type Case } from '../assess.ts';
import { hashesOf, openEngine, type Image } from './engine.ts';

const SERVICE = 'crypto-store';
const READY_WITHIN_MS = 60_000;

/** `docker/service.Dockerfile` through an engine, twice, and a service that answers from what it made. */
export const serviceImage: Case = {
  name: 'image/service',
  guarantee:
    'an engine builds a service twice to the same files, and it serves from them as nobody, over a closed root',
  async run({ say }) {
    const engine = await openEngine();
    const tags = ['first', 'second'].map((each) => `localhost/postern-${SERVICE}:${each}`) as [string, string];
    await engine.build(SERVICE, tags[0]);
    const first = await engine.open(tags[0]);
    try {
      const megabytes = execFileSync('du', ['-sm', first.root], { encoding: 'utf8' }).split('\t')[0];
      const files = hashesOf(first, 'service').size;
      const { components = [] } = billOf(first);
      say(`${SERVICE}: ${megabytes} MB with Node and Debian, ${files} files of the service`);
      say(`${components.length} components in its bill of materials`);
      const failed = [...faultsOf(first), ...(await startsFrom(first))];
      say(`started from it: ${failed.length} faults`);
      await engine.build(SERVICE, tags[1]);
      const second = await engine.open(tags[1]);
      try {
        const compared = hashesOf(first, '.').size;
        const different = differences(first, second);
        say(`built again: ${compared - different.length} of ${compared} files of the whole root are the same`);
        return { tried: compared, failed: [...failed, ...different], lost: [] };
      } finally {
        await second.close();
      }
    } finally {
      await first.close();
    }
  },
};

/** The whole root is compared, Debian's part too. */
function differences(first: Image, second: Image): string[] {
  const [one, other] = [hashesOf(first, '.'), hashesOf(second, '.')];
  const names = new Set([...one.keys(), ...other.keys()]);
  return [...names].filter((name) => one.get(name) !== other.get(name)).map((name) => `${name} differs between builds`);
}

function billOf({ root }: Image): { bomFormat?: string; components?: unknown[] } {
  const bill = join(root, 'service/sbom.cdx.json');
  return existsSync(bill) ? (JSON.parse(readFileSync(bill, 'utf8')) as object) : {};
}

function faultsOf(image: Image): string[] {
  const { root, config } = image;
  const failed: string[] = [];
  const must = (holds: boolean, what: string) => void (holds || failed.push(what));
  must(config.User === '65532:65532', `it runs as ${config.User}`);
  must(config.Env.includes('POSTERN_ENVIRONMENT=production'), 'it is not production unless told otherwise');
  for (const label of ['title', 'version', 'revision', 'licenses'])
    must((config.Labels[`org.opencontainers.image.${label}`] ?? '') !== '', `it has no label ${label}`);
  const { bomFormat, components = [] } = billOf(image);
  must(bomFormat === 'CycloneDX' && components.length > 50, 'it has no bill of materials (CycloneDX)');
  for (const path of [
    'usr/local/bin/npm',
    'usr/local/lib/node_modules',
    'service/infra',
    'service/node_modules/@postern',
  ])
    must(!existsSync(join(root, path)), `it holds ${path}`);
  return failed;
}

// As `docker run --read-only --tmpfs /tmp --volume data:/data` does it, in a mount namespace of its own. The files that settings name are not to be written.
const ENTER = `
set -e
root=$1; files=$2; user=$3; workdir=$4; shift 4
mount --bind "$root" "$root"
mount --bind "$files/data" "$root/data"
mount -t tmpfs -o size=16m,mode=1777 tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/mnt"
mkdir "$root/mnt/files"
mount --bind "$files" "$root/mnt/files"
mount -o remount,bind,ro "$root/mnt/files"
mount -o remount,ro "$root/mnt"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" "$root" /usr/bin/env --chdir="$workdir" "$@"
`;

async function startsFrom(image: Image): Promise<string[]> {
  const home = openHome(mkdtempSync(join(tmpdir(), 'postern-assurance-')));
  const files = mkdtempSync(join(tmpdir(), 'postern-image-'));
  try {
    const stack = await startStack({ home, idp: 'development', step: quietly });
    try {
      return await answersFrom(image, stack, home.dir, files);
    } finally {
      await stack.close();
    }
  } finally {
    rmSync(home.dir, { recursive: true, force: true });
    rmSync(files, { recursive: true, force: true });
  }
}

async function answersFrom({ root, config }: Image, stack: Stack, home: string, files: string): Promise<string[]> {
  const [api, pub, management] = [await freePort(), await freePort(), await freePort()];
  const env = {
    ...environmentAt(stack.environmentOf(SERVICE), home, files),
    ...Object.fromEntries(
      config.Env.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    ),
    POSTERN_ENVIRONMENT: 'development',
    // The one file that a service writes: on the volume.
    POSTERN_DESTROYED_KEYS_PATH: '/data/destroyed-keys.jsonl',
    POSTERN_API_PORT: String(api),
    POSTERN_PUBLIC_PORT: String(pub),
    POSTERN_MANAGEMENT_PORT: String(management),
  };
  const enter = (words: string[], user = config.User) => [
    '--mount',
    'sh',
    '-c',
    ENTER,
    'enter',
    root,
    files,
    user,
    config.WorkingDir,
    ...words,
  ];
  const child = spawn('unshare', enter([...config.Entrypoint, ...config.Cmd]), {
    env: { ...env, PATH: process.env['PATH'] ?? '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => void output.push(String(chunk)));
  const ended = once(child, 'exit') as Promise<[number | null]>;
  const failed: string[] = [];
  try {
    if (!(await untilReady(management, () => child.exitCode !== null))) return [`it is not ready: ${output.join('')}`];
    const { cert, key, ca } = stack.certificates.of.portal;
    const agent = new Agent({ connect: { cert, key, ca } });
    const answer = await request(`https://127.0.0.1:${api}/retrieve/a-key`, { dispatcher: agent });
    await answer.body.dump();
    await agent.close();
    if (answer.statusCode !== 401) failed.push(`without a token it answers ${answer.statusCode}`);
    for (const path of ['/service/main.js', '/service/more', '/more', '/mnt/files/more'])
      failed.push(...written(enter(['node', '-p', writing(path)], '0:0'), path, 'EROFS'));
    for (const path of ['/tmp/more', '/data/more'])
      failed.push(...written(enter(['node', '-p', writing(path)]), path, 'written'));
    child.kill('SIGTERM');
    const [code] = await ended;
    if (code !== 0) failed.push(`it drained with ${code}: ${output.slice(-3).join('')}`);
    return failed;
  } finally {
    child.kill('SIGKILL');
  }
}

const writing = (path: string) => `try { fs.writeFileSync('${path}', ''); 'written' } catch (error) { error.code }`;

function written(words: string[], path: string, wanted: string): string[] {
  const said = execFileSync('unshare', words, { encoding: 'utf8', env: { PATH: process.env['PATH'] ?? '' } }).trim();
  return said === wanted ? [] : [`${path}, written to: ${said}`];
}

/** The same settings, each file that they name copied to where the image's user may read it. */
function environmentAt(env: Record<string, string>, home: string, files: string): Record<string, string> {
  chmodSync(files, 0o755);
  mkdirSync(join(files, 'data'));
  const seen = (value: string) => {
    if (!value.startsWith(`${home}/`)) return value;
    const place = join(files, value.slice(home.length));
    mkdirSync(dirname(place), { recursive: true });
    if (existsSync(value)) copyFileSync(value, place);
    return join('/mnt/files', value.slice(home.length));
  };
  const moved = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, seen(value)]));
  execFileSync('chown', ['-R', '65532:65532', files]);
  return moved;
}

async function untilReady(management: number, ended: () => boolean): Promise<boolean> {
  for (const until = performance.now() + READY_WITHIN_MS; performance.now() < until && !ended(); await delay(100)) {
    const answer = await request(`http://127.0.0.1:${management}/health/ready`).catch(() => undefined);
    await answer?.body.dump();
    if (answer?.statusCode === 200) return true;
  }
  return false;
}
