import { chmod, mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from '@jest/globals';
import { createLocalRootKeyFile, openLocalRootKey, rotateLocalRootKeyFile, RootKeyRefused } from '../src/index.ts';

let path: string;

beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'root-key-')), 'root.key');
});

test('a root key file is made once, for its owner only, and never replaced', async () => {
  expect(await createLocalRootKeyFile(path)).toBe(true);
  const content = await readFile(path, 'utf8');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await createLocalRootKeyFile(path)).toBe(false);
  expect(await readFile(path, 'utf8')).toBe(content);
});

test('a file that all users can read, or that is no key file, stops the start and shows nothing of itself', async () => {
  await createLocalRootKeyFile(path);
  await chmod(path, 0o644);
  await expect(openLocalRootKey({ path })).rejects.toThrow(`${path} is open to all users`);
  await chmod(path, 0o600);
  for (const content of [
    '',
    '{}',
    '{"active":"canary"}',
    JSON.stringify({ active: 'x', keys: [{ id: 'x', key: 'canary' }] }),
  ]) {
    await writeFile(path, content);
    await expect(openLocalRootKey({ path })).rejects.toThrow(new Error(`${path} is not a root key file`));
  }
});

test('a wrapped key opens only under its own root key, with exactly its context, and unaltered', async () => {
  await createLocalRootKeyFile(path);
  const rootKey = await openLocalRootKey({ path });
  const { arn } = rootKey;
  const context = { 'branch-key-id': 'a', type: 'branch:ACTIVE' };
  const wrapped = await rootKey.generate(context);
  expect(await rootKey.unwrap(wrapped, { arn, context })).toHaveLength(32);

  await expect(rootKey.unwrap(wrapped, { arn, context: { ...context, type: 'beacon:ACTIVE' } })).rejects.toThrow(
    RootKeyRefused,
  );
  await expect(rootKey.unwrap(wrapped, { arn: `${arn}0`, context })).rejects.toThrow(RootKeyRefused);
  for (let offset = 0; offset < wrapped.length; offset += 1) {
    const altered = Uint8Array.from(wrapped);
    altered[offset]! ^= 1;
    await expect(rootKey.unwrap(altered, { arn, context })).rejects.toThrow(RootKeyRefused);
    await expect(rootKey.unwrap(wrapped.subarray(0, offset), { arn, context })).rejects.toThrow(RootKeyRefused);
  }
});

test('after a rotation of the file both keys open, and the same key can be wrapped over from one to the other', async () => {
  await createLocalRootKeyFile(path);
  const before = await openLocalRootKey({ path });
  const context = { type: 'x' };
  const wrapped = await before.generate(context);
  await rotateLocalRootKeyFile(path);
  const after = await openLocalRootKey({ path });
  const key = await after.unwrap(wrapped, { arn: before.arn, context });
  const to = { arn: after.arn, context: { type: 'y' } };
  const rewrapped = await after.rewrap(wrapped, { arn: before.arn, context }, to);
  expect(await after.unwrap(rewrapped, to)).toEqual(key);
});

test('of rotations of a file at once none loses the key of another', async () => {
  await createLocalRootKeyFile(path);
  const turns = await Promise.allSettled(Array.from({ length: 8 }, () => rotateLocalRootKeyFile(path)));
  const made = turns.flatMap((turn) => (turn.status === 'fulfilled' ? [turn.value] : []));
  expect(made.length).toBeGreaterThan(0);
  const { keys } = JSON.parse(await readFile(path, 'utf8')) as { keys: { id: string }[] };
  expect(keys.map(({ id }) => id)).toEqual(expect.arrayContaining(made));
  expect(keys).toHaveLength(1 + made.length);
  // And the next one finds its way free.
  await rotateLocalRootKeyFile(path);
});
