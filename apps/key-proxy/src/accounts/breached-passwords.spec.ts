import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Secret } from '@postern/runtime';
import { breachedPasswordsIn, commonPasswords } from './breached-passwords.ts';

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'breached-'))));
afterAll(() => rm(folder, { recursive: true }));

const sha1 = (text: string) => createHash('sha1').update(text).digest('hex').toUpperCase();

test.each(['\n', '\r\n'])('every password of a published list is found, and no other (line end %j)', async (end) => {
  const known = Array.from({ length: 2_000 }, (_, at) => `known password ${at}`);
  const path = join(folder, 'list.txt');
  const lines = known.map((password, at) => `${sha1(password)}:${at * 7_919}`);
  await writeFile(path, lines.toSorted().join(end) + end);
  const list = await breachedPasswordsIn(path);
  const found = await Promise.all(known.map((password) => list.includes(new Secret(password))));
  expect(found.filter((is) => !is)).toEqual([]);
  const others = await Promise.all(known.map((password) => list.includes(new Secret(`${password}!`))));
  expect(others.filter((is) => is)).toEqual([]);
  await list.close();
});

test('a list of one line, and a file that is no list', async () => {
  const path = join(folder, 'one.txt');
  await writeFile(path, sha1('alone'));
  const list = await breachedPasswordsIn(path);
  expect([await list.includes(new Secret('alone')), await list.includes(new Secret('others'))]).toEqual([true, false]);
  await list.close();
  await writeFile(path, 'password1\npassword2\n');
  await expect(breachedPasswordsIn(path)).rejects.toThrow('SHA-1');
});

test('common passwords are known in any case', async () => {
  const common = await commonPasswords();
  expect(await common.includes(new Secret('PassWord123'))).toBe(true);
  expect(await common.includes(new Secret('correct horse battery staple 77'))).toBe(false);
});
