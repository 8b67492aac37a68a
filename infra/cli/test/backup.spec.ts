import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { digestOf, keptFile, readManifest, requireKept, writeManifest } from '../src/backup/manifest.ts';
import { run } from '../src/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-backup-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

async function command(...words: string[]) {
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const terminal = { out: say, err: say, input: async () => '', folder, interactive: false, environment: {} };
  return { code: await run(words, terminal), said: said.join('\n') };
}

test.each([
  ['no database', ['backup', '--into', 'x'], /--database NAME=URL is needed/],
  ['a password in sight', ['backup', '--into', 'x', '--database', 'a=postgresql://u:hidden@h/d'], /holds a password/],
  [
    'the passphrase of a key in sight',
    ['backup', '--into', 'x', '--database', 'a=postgresql://u@h/d?sslpassword=hidden'],
    /holds a password/,
  ],
  ['no address', ['backup', '--into', 'x', '--database', 'a=somewhere'], /not a postgresql:\/\/ address/],
  ['no name', ['backup', '--into', 'x', '--database', 'postgresql://u@h/d'], /--database is NAME=/],
  [
    'one twice',
    ['restore', '--from', 'x', '--database', 'a=postgresql://h/d', '--database', 'a=postgresql://h/e'],
    /twice/,
  ],
  ['no folder', ['restore', '--database', 'a=postgresql://h/d'], /--from FOLDER is needed/],
])(
  'a command line with %s is refused by name, with exit code 64, and echoes no password',
  async (_what, words, named) => {
    const { code, said } = await command(...words);
    expect([code, said]).toEqual([64, expect.stringMatching(named)]);
    expect(said).not.toContain('hidden');
  },
);

test('a folder without a manifest, and a dump that was changed, are no backup: exit code 2', async () => {
  const line = ['restore', '--from', folder, '--database', 'crypto-store=postgresql://h/d'];
  expect(await command(...line)).toMatchObject({ code: 2, said: expect.stringMatching(/no whole backup/) });
  const sha256 = await digestOf(file('crypto-store.dump', 'as it was'));
  const databases = [{ service: 'crypto-store', file: 'crypto-store.dump', sha256 }];
  writeManifest(folder, { version: 1, at: '2027-01-31T00:00:00.000Z', tools: 'pg_dump', databases, keeps: [] });
  expect((await readManifest(folder)).databases).toEqual(databases);
  file('crypto-store.dump', 'as it was not');
  expect(await command(...line)).toMatchObject({
    code: 2,
    said: expect.stringMatching(/not the dump that was written/),
  });
});

test('R33: the list of destroyed keys may have grown since the backup; a shorter or another one is refused', async () => {
  const kept = await keptFile('destroyed-keys', file('at-the-backup', 'one\ntwo\n'));
  await requireKept(kept, file('grown', 'one\ntwo\nthree\n'));
  await expect(requireKept(kept, file('shorter', 'one\n'))).rejects.toThrow('does not begin');
  await expect(requireKept(kept, file('another', 'one\nTWO\nthree\n'))).rejects.toThrow('does not begin');
  // EX_NOINPUT of sysexits, as for every other file that cannot be read.
  await expect(requireKept(kept, join(folder, 'nowhere'))).rejects.toMatchObject({
    exitCode: 66,
    message: expect.stringContaining('cannot be read'),
  });
  await expect(requireKept(kept, undefined)).rejects.toThrow('--keeps destroyed-keys=PATH is needed');
});
