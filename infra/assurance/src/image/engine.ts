import { installedProgram } from '@postern/testing';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), '../../../..');
const SUITE = 'bookworm';
/** npm opens its cache's files all at once; a build is given fewer than that unless told. */
const FILES = 20_000;
const AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt';
const AS_LARGE_AS_IT_TAKES = { maxBuffer: 1 << 28 };

/** An image of an engine, its file system open to be read. */
export type Image = { root: string; config: ImageConfig; close(): Promise<void> };

export type ImageConfig = {
  User: string;
  Entrypoint: string[];
  Cmd: string[];
  Env: string[];
  Labels: Record<string, string>;
  WorkingDir: string;
};

export type Engine = {
  /** The image of one service by docker/service.Dockerfile, nothing taken from an earlier build. */
  build(service: string, tag: string): Promise<void>;
  open(tag: string): Promise<Image>;
};

/**
 * `buildah`, which needs no daemon, over a base image of Debian's own packages with this checkout's Node: no registry of images is
 * asked. Steps run under chroot, so that the kernel need give no namespaces.
 * @throws Error where its Debian packages cannot be had, or this process may not do what they do
 */
export async function openEngine(): Promise<Engine> {
  const program = await installedProgram('buildah', { of: 'buildah' });
  const buildah = async (...words: string[]) =>
    (await run(program, words, { cwd: root, ...AS_LARGE_AS_IT_TAKES })).stdout.trim();
  const base = await baseImage(buildah);
  const machine = await machineVolumes();
  return {
    async build(service, tag) {
      const given = { NODE_IMAGE: base, SERVICE: service, VERSION: '0.0.0-image', REVISION: 'a-commit' };
      const arguments_ = Object.entries(given).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
      // The time of a build is no content.
      const always = [
        '--isolation',
        'chroot',
        '--no-cache',
        '--pull-never',
        '--timestamp',
        '0',
        '--ulimit',
        `nofile=${FILES}:${FILES}`,
        ...machine,
      ];
      await buildah('bud', ...always, ...arguments_, '-f', 'docker/service.Dockerfile', '-t', tag, '.');
    },
    async open(tag) {
      const container = await buildah('from', '--pull-never', tag);
      const { OCIv1 } = JSON.parse(await buildah('inspect', '--type', 'image', tag)) as {
        OCIv1: { config: ImageConfig };
      };
      return {
        root: await buildah('mount', container),
        config: OCIv1.config,
        close: async () => void (await buildah('rm', container)),
      };
    },
  };
}

/**
 * What npm uses of this machine while it builds, and what no image keeps: its cache, whose entries the lock file's hashes hold, and
 * the authorities that the machine believes, for a network that has one of its own.
 */
async function machineVolumes(): Promise<string[]> {
  const cache = (await run('npm', ['config', 'get', 'cache'])).stdout.trim();
  const settings = join(root, '.cache/image-npmrc');
  await writeFile(settings, `cafile=${AUTHORITIES}\nprefer-offline=true\nmaxsockets=6\n`);
  const volumes = [`${AUTHORITIES}:${AUTHORITIES}:ro`, `${settings}:/root/.npmrc:ro`, `${cache}:/root/.npm`];
  return volumes.flatMap((volume) => ['--volume', volume]);
}

/** Node and npm where the public image has them, on a minimal Debian. @returns its name */
async function baseImage(buildah: (...words: string[]) => Promise<string>): Promise<string> {
  const name = `localhost/postern-base:${SUITE}-node-${process.version.slice(1)}`;
  if ((await buildah('images', '--quiet', '--filter', `reference=${name}`)) !== '') return name;
  const debian = join(root, '.cache', `debian-${SUITE}.tar`);
  if (!existsSync(debian)) {
    await mkdir(dirname(debian), { recursive: true });
    const bootstrap = await installedProgram('mmdebstrap', { of: 'mmdebstrap' });
    const options = ['--variant=minbase', '--include=ca-certificates', SUITE, `${debian}.draft.tar`];
    await run(bootstrap, options, AS_LARGE_AS_IT_TAKES);
    await rename(`${debian}.draft.tar`, debian);
  }
  const container = await buildah('from', 'scratch');
  const npm = dirname(
    dirname((await run('readlink', ['-f', (await run('which', ['npm'])).stdout.trim()])).stdout.trim()),
  );
  await buildah('add', '--quiet', container, debian, '/');
  await buildah('copy', '--quiet', container, process.execPath, '/usr/local/bin/node');
  await buildah('copy', '--quiet', container, npm, '/usr/local/lib/node_modules/npm');
  const link = 'ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm';
  await buildah('run', '--isolation', 'chroot', container, '--', 'sh', '-c', link);
  await buildah('commit', '--quiet', '--rm', container, name);
  return name;
}

/** Every file of an image below a folder, by the SHA-256 of its content; a link by where it leads, which is not followed. */
export function hashesOf(image: Image, below: string): Map<string, string> {
  const folder = join(image.root, below);
  const found = filesIn(folder).map((path): [string, string] => {
    const name = path.slice(folder.length);
    const link = lstatSync(path).isSymbolicLink();
    return [name, link ? `-> ${readlinkSync(path)}` : createHash('sha256').update(readFileSync(path)).digest('hex')];
  });
  return new Map(found.sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** The files and links below a folder. Not by `recursive`, which goes through a link that leads to a folder: `/dev/fd` is one. */
const filesIn = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesIn(path);
    return entry.isFile() || entry.isSymbolicLink() ? [path] : [];
  });
