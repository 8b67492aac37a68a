import { once } from 'node:events';
import { copyFile, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from '@jest/globals';
import { developmentCa, openAuthority, type IssueOptions } from '@postern/testing';
import { watchTlsMaterial, type TlsFiles, type TlsMaterial } from '../src/index.ts';
import { temporaryFolder } from './world.ts';

const folder = await temporaryFolder();
const authority = developmentCa();
const HOUR_MS = 3_600_000;

let material: TlsMaterial | undefined;
afterEach(() => material?.close());
afterAll(() => folder.remove());

const issue = (name: string, options: IssueOptions = {}) =>
  authority.issue('crypto-store', { into: join(folder.path, name), ...options });

const changed = (watched: TlsMaterial): Promise<TlsFiles> => {
  const emitter = new EventTarget();
  watched.onChange((files) => emitter.dispatchEvent(new CustomEvent('change', { detail: files })));
  return once(emitter, 'change').then(([event]) => (event as CustomEvent<TlsFiles>).detail);
};

test('a rotated certificate is taken, with its thumbprint', async () => {
  const first = await issue('rotated');
  material = await watchTlsMaterial(first.paths);
  expect(material.current().thumbprint).toBe(first.thumbprint);
  const change = changed(material);
  const second = await issue('rotated');
  expect((await change).thumbprint).toBe(second.thumbprint);
  expect(material.current()).toMatchObject({ cert: second.cert, key: second.key, thumbprint: second.thumbprint });
});

test('a rotated anchor is taken', async () => {
  const { paths } = await issue('anchor');
  material = await watchTlsMaterial(paths);
  const change = changed(material);
  const other = await openAuthority({ directory: join(folder.path, 'ca'), name: 'next' }).certificate();
  await writeFile(`${paths.ca}.new`, `${await authority.certificate()}${other}`);
  await rename(`${paths.ca}.new`, paths.ca);
  expect((await change).ca).toContain(other);
});

test('a set replaced as Kubernetes does, by a link to another folder, is taken', async () => {
  const mount = join(folder.path, 'mount');
  const [first, second] = [await issue('mount/..1'), await issue('mount/..2')];
  await symlink('..1', join(mount, '..data'));
  const paths = { cert: '', key: '', ca: '' };
  for (const [part, file] of [
    ['cert', 'tls.crt'],
    ['key', 'tls.key'],
    ['ca', 'ca.crt'],
  ] as const) {
    paths[part] = join(mount, file);
    await symlink(join('..data', file), paths[part]);
  }
  material = await watchTlsMaterial(paths);
  expect(material.current().thumbprint).toBe(first.thumbprint);
  const change = changed(material);
  await symlink('..2', join(mount, '..data_tmp'));
  await rename(join(mount, '..data_tmp'), join(mount, '..data'));
  expect((await change).thumbprint).toBe(second.thumbprint);
});

test('without file system events the files are read again by the clock', async () => {
  const { paths } = await issue('polled');
  material = await watchTlsMaterial(paths, { pollMs: 50 });
  // The folder itself is replaced: the watch goes on looking at the old one.
  await rename(join(folder.path, 'polled'), join(folder.path, 'polled-before'));
  await new Promise((resolve) => setTimeout(resolve, 200));
  const change = changed(material);
  const { thumbprint } = await issue('polled');
  expect((await change).thumbprint).toBe(thumbprint);
});

test('a rotation half written, an expired certificate and rubbish leave the old set in use', async () => {
  const first = await issue('torn');
  const refusals: string[] = [];
  let refused = () => {};
  const nextRefusal = () => new Promise<void>((resolve) => (refused = resolve));
  material = await watchTlsMaterial(first.paths, {
    pollMs: 20,
    refused: (error) => {
      refusals.push(error.message);
      refused();
    },
  });
  const expired = await issue('expired', {
    notBefore: new Date(Date.now() - 2 * HOUR_MS),
    notAfter: new Date(Date.now() - HOUR_MS),
  });
  const foreign = await issue('foreign');

  // A read may fall into the copying, and find half a file.
  await copyFile(foreign.paths.key, first.paths.key);
  do await nextRefusal();
  while (!refusals.at(-1)?.includes('is not the key of'));

  await copyFile(expired.paths.key, first.paths.key);
  await copyFile(expired.paths.cert, first.paths.cert);
  do await nextRefusal();
  while (!refusals.at(-1)?.includes('expired at'));

  await writeFile(first.paths.cert, 'rubbish');
  do await nextRefusal();
  while (!refusals.at(-1)?.includes('not the PEM'));

  const refusal = nextRefusal();
  await rm(first.paths.cert);
  await refusal;
  expect(material.current()).toMatchObject({ cert: first.cert, key: first.key });
  expect(refusals.join()).not.toContain('BEGIN');
});

test('the start is refused on material that is missing, torn or expired, by path and without its content', async () => {
  const good = await issue('good');
  const other = await issue('other');
  const expired = await issue('start-expired', { notBefore: new Date(0), notAfter: new Date(HOUR_MS) });
  await mkdir(join(folder.path, 'empty'));
  await expect(watchTlsMaterial({ ...good.paths, cert: join(folder.path, 'empty/tls.crt') })).rejects.toThrow(/ENOENT/);
  await expect(watchTlsMaterial({ ...good.paths, key: other.paths.key })).rejects.toThrow(/is not the key of/);
  await expect(watchTlsMaterial(expired.paths)).rejects.toThrow(/expired at 1970/);

  // The first certificate of each file is whole: what comes after it would be missed only by who connects.
  const torn = good.ca.slice(0, good.ca.length / 2);
  const rubbish = '-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n';
  for (const [part, rest] of [
    ['cert', torn],
    ['cert', rubbish],
    ['ca', torn],
    ['ca', rubbish],
  ] as const) {
    const path = join(folder.path, 'empty', part);
    await writeFile(path, `${good[part]}${rest}`);
    await expect(watchTlsMaterial({ ...good.paths, [part]: path })).rejects.toThrow(`${path} is not the PEM`);
  }
});
