import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, test } from '@jest/globals';
import { describeWith, goProgram, realPart } from '@postern/testing';
import { openCheckpoint, parseVerifier, tilePath, tileWidth } from '@postern/transparency';
import { request } from 'undici';
import { event, heldIds, openWorld, until } from './world.ts';

const run = promisify(execFile);
const source = fileURLToPath(new URL('./verifier', import.meta.url));

/** A verifier on Go's own sumdb libraries, built where Go is. */
const verifier = await realPart('Go', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'verifier-'));
  await run(goProgram(), ['build', '-o', join(folder, 'verifier'), '.'], { cwd: source });
  return { binary: join(folder, 'verifier'), folder };
});

describeWith(verifier, 'an independent verifier', ({ binary, folder }) => {
  const log = join(folder, 'log');
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("Go's sumdb libraries accept our checkpoint, tiles, entries and proofs, and refuse each once it is altered", async () => {
    const world = await openWorld();
    try {
      const { url } = await world.sink();
      const producer = await world.producer();
      await producer.relay(url);
      const auditor = await world.caller();
      const get = async (path: string): Promise<Buffer> => {
        const answer = await request(`${url}/v1/log/${path}`, {
          dispatcher: auditor.dispatcher,
          headers: { authorization: `Bearer ${await auditor.token()}` },
        });
        const bytes = Buffer.from(await answer.body.arrayBuffer());
        expect([path, answer.statusCode]).toEqual([path, 200]);
        return bytes;
      };
      const commit = async (count: number) => {
        await Promise.all(Array.from({ length: count }, () => producer.audit.commit(event())));
        const before = (await heldIds(world)).length;
        await until(async () => (await heldIds(world)).length >= Math.max(before, count), 'the events are in the log');
      };
      await commit(300);
      await until(async () => (await heldIds(world)).length === 300, 'the first events are in the log');
      const key = (await get('key')).toString().trim();
      const opened = (note: string) => openCheckpoint(note, parseVerifier(key).name, [parseVerifier(key)]);
      await until(async () => opened((await get('checkpoint')).toString()).size > 300, 'their checkpoint is signed');
      const older = opened((await get('checkpoint')).toString());
      await commit(400);
      await until(async () => (await heldIds(world)).length === 700, 'more events are in the log');
      await until(async () => opened((await get('checkpoint')).toString()).size > 700, 'their checkpoint is signed');

      const note = await get('checkpoint');
      const { size } = opened(note.toString());
      const write = (name: string, bytes: Buffer | string) => {
        mkdirSync(dirname(join(log, name)), { recursive: true });
        writeFileSync(join(log, name), bytes);
      };
      write('checkpoint', note);
      for (let level = 0; tileWidth({ level, index: 0 }, size) > 0; level += 1) {
        for (let index = 0; tileWidth({ level, index }, size) > 0; index += 1) {
          const width = tileWidth({ level, index }, size);
          write(tilePath(level, index, width), await get(tilePath(level, index, width)));
          if (level === 0) write(tilePath('entries', index, width), await get(tilePath('entries', index, width)));
        }
      }
      const proofOf = async (path: string) => (JSON.parse((await get(path)).toString()) as { proof: string[] }).proof;
      const ids = await heldIds(world);
      const receipts = await Promise.all(
        [0, 255, 256, 512, 699].map(async (i) => {
          const { body } = await auditor.get(`${url}/v1/events/${ids[i]!}/receipt`);
          const { index, leaf } = body as { index: number; leaf: string };
          return { Index: index, Leaf: leaf, Proof: await proofOf(`proofs/inclusion?index=${index}&size=${size}`) };
        }),
      );
      const consistency = {
        Size: older.size,
        Root: older.root.toString('base64'),
        Proof: await proofOf(`proofs/consistency?from=${older.size}&to=${size}`),
      };
      write('proofs.json', JSON.stringify({ Inclusion: receipts, Consistency: consistency }));

      const { stdout } = await run(binary, [log, key]);
      expect(stdout).toBe(`${size} entries, 5 inclusion proofs, consistent with ${older.size}\n`);

      // What it accepts says something only where it refuses.
      const alterations: [string, (bytes: Buffer) => Buffer][] = [
        ['checkpoint', (bytes) => Buffer.from(bytes.toString().replace(`\n${size}\n`, `\n${size - 1}\n`))],
        [tilePath(0, 1), (bytes) => flipped(bytes, 40)],
        [tilePath('entries', 0), (bytes) => flipped(bytes, 100)],
        ['proofs.json', (bytes) => Buffer.from(bytes.toString().replace(/"Index":\d+/, '"Index":1'))],
      ];
      for (const [name, alter] of alterations) {
        const bytes = readFileSync(join(log, name));
        write(name, alter(bytes));
        await expect(run(binary, [log, key])).rejects.toMatchObject({ code: 1 });
        write(name, bytes);
      }
      await run(binary, [log, key]);
    } finally {
      await world.close();
    }
  });
});

function flipped(bytes: Buffer, at: number): Buffer {
  const altered = Buffer.from(bytes);
  altered[at]! ^= 1;
  return altered;
}
