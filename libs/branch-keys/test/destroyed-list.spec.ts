import { randomUUID } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { appendFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { openDestroyedList, type DestroyedKey } from '../src/index.ts';

const newPath = () => join(mkdtempSync(join(tmpdir(), 'destroyed-list-')), 'destroyed.jsonl');
const newEntry = (): DestroyedKey => ({
  branchKeyId: randomUUID(),
  version: randomUUID(),
  destroyedAt: new Date().toISOString(),
});
const versionsOf = (entries: readonly DestroyedKey[]) => entries.map(({ version }) => version).toSorted();

test('replicas that add to the list at once lose nothing of each other (R33)', async () => {
  const path = newPath();
  const replicas = await Promise.all(Array.from({ length: 4 }, () => openDestroyedList({ path })));
  const added: DestroyedKey[] = [];
  await Promise.all(
    replicas.map(async (list) => {
      for (let turn = 0; turn < 60; turn += 1) {
        const entries = Array.from({ length: 60 }, newEntry);
        await list.add(entries);
        added.push(...entries);
      }
    }),
  );
  expect(versionsOf(await replicas[0]!.all())).toEqual(versionsOf(added));
});

test('what is added again and again makes the list no longer', async () => {
  const path = newPath();
  const list = await openDestroyedList({ path });
  const [one, two] = [newEntry(), newEntry()];
  for (let turn = 0; turn < 3; turn += 1) await list.add([{ ...one, destroyedAt: new Date(turn).toISOString() }]);
  await list.add([one, two]);
  expect(versionsOf(await list.all())).toEqual(versionsOf([one, two]));
});

test('a line that a crash cut is no entry, and spoils none that is added after it', async () => {
  const path = newPath();
  const list = await openDestroyedList({ path });
  const [first, cut, last] = [newEntry(), newEntry(), newEntry()];
  await list.add([first]);
  await appendFile(path, JSON.stringify(cut).slice(0, 60));
  expect(await list.all()).toEqual([first]);
  await list.add([last]);
  expect(await list.all()).toEqual([first, last]);
  expect(await (await openDestroyedList({ path })).all()).toEqual([first, last]);
});

test('a line that is whole and no entry stops a start: the list must not be taken for a shorter one', async () => {
  const path = newPath();
  await writeFile(path, `${JSON.stringify(newEntry())}\n{"branchKeyId":"b","version":7}\n`);
  await expect(openDestroyedList({ path })).rejects.toThrow(`${path} line 2 is no entry`);
});
