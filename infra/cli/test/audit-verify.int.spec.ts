import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import {
  emptyEdge,
  encodeEntries,
  endorseKey,
  growEdge,
  leafHash,
  rootOfEdge,
  signCheckpoint,
  signClosings,
  tilePath,
  verifierLine,
} from '@postern/transparency';
import { run } from '../src/run.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-log-'));
const pair = generateKeyPairSync('ed25519');
const key = verifierLine({ name: 'log.example', key: pair.publicKey });

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A published log of 300 entries of one producer, each naming the one before it. */
function entries(): Buffer[] {
  let previous: Buffer = Buffer.alloc(32);
  return Array.from({ length: 300 }, (_, i) => {
    const leaf = {
      kind: 'entry',
      producer: 'crypto-store',
      epoch: 1,
      seq: i + 1,
      previous: previous.toString('base64url'),
    };
    const entry = Buffer.from(JSON.stringify({ ...leaf, id: `event ${i}` }));
    previous = leafHash(entry);
    return entry;
  });
}

function write(name: string, bytes: Buffer | string): void {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), bytes);
}

function publish(all: readonly Buffer[], signed: readonly Buffer[], signer = pair): void {
  write(tilePath('entries', 0), encodeEntries(all.slice(0, 256)));
  write(tilePath('entries', 1, 44), encodeEntries(all.slice(256)));
  const root = rootOfEdge(growEdge(emptyEdge, signed.map(leafHash)));
  const checkpoint = { origin: 'log.example', size: signed.length, root };
  write('checkpoint', signCheckpoint(checkpoint, { name: 'log.example', key: signer.privateKey }));
}

async function verify() {
  const said: string[] = [];
  const terminal = { folder, out: (text: string) => void said.push(text), err: (text: string) => void said.push(text) };
  const code = await run(['audit', 'verify', folder, '--key', key], terminal as Parameters<typeof run>[1]);
  return { code, said: said.join('\n') };
}

test('a published log verifies without anybody, and the first entry that does not fit is named', async () => {
  const good = entries();
  publish(good, good);
  expect(await verify()).toEqual({
    code: 0,
    said: '300 of 300 entries of log.example verified, up to the signed root',
  });

  const edited = good.with(70, Buffer.from(good[70]!.toString().replace('event 70', 'event 7O')));
  publish(edited, good);
  expect(await verify()).toMatchObject({ code: 1, said: expect.stringContaining('entry_differs at entry 70') });

  for (const unreadable of ['{', 'null', '5', good[70]!.toString().slice(0, -1)]) {
    publish(good.with(70, Buffer.from(unreadable)), good);
    expect(await verify()).toMatchObject({ code: 1, said: expect.stringContaining('entry_unreadable at entry 70') });
  }
  publish(good, good);
  write(tilePath('entries', 1, 44), encodeEntries(good.slice(256)).subarray(0, -1));
  expect(await verify()).toMatchObject({ code: 1, said: expect.stringContaining('bundle_torn at entry 256') });

  const reordered = good.with(20, good[21]!).with(21, good[20]!);
  publish(reordered, good);
  expect(await verify()).toMatchObject({ code: 1, said: expect.stringContaining('sequence_broken at entry 20') });

  publish(good.slice(0, 290), good);
  expect(await verify()).toMatchObject({ code: 1, said: expect.stringContaining('entry_missing at entry 290') });
});

test('a list of keys that is none is refused, by whatever it is', async () => {
  const good = entries();
  publish(good, good);
  for (const text of ['', 'x', 'null', '5', '{}', '{"keys":5}', '{"keys":[null]}', '{"keys":[{"verifier":5}]}']) {
    write('keys.json', text);
    expect({ text, ...(await verify()) }).toMatchObject({ code: 1 });
  }
  rmSync(join(folder, 'keys.json'));
});

test('an entry that records a closing which is not published with the log is named: after a restore it holds no more (R26, R27)', async () => {
  const good = entries();
  const last = JSON.parse(good[299]!.toString()) as object;
  const closed = good.with(299, Buffer.from(JSON.stringify({ ...last, action: 'producer.closed' })));
  publish(closed, closed);
  const lost = { code: 1, said: expect.stringContaining('closing_missing at entry 299') };
  expect(await verify()).toMatchObject(lost);
  const signer = { name: 'log.example', key: pair.privateKey };
  write('closings', signClosings({ size: 299, closings: [] }, signer));
  expect(await verify()).toMatchObject(lost);
  const at = new Date();
  const closing = { producer: 'crypto-store', epoch: 1, seq: 299, certificatesBefore: at, closedAt: at };
  const note = signClosings({ size: 300, closings: [closing] }, signer);
  write('closings', note);
  expect(await verify()).toMatchObject({ code: 0 });
  write('closings', note.replace(' 299 ', ' 298 '));
  expect(await verify()).toMatchObject({ code: 1 });
  rmSync(join(folder, 'closings'));
});

test('a log whose key was rotated verifies under the line that was kept before, by the old key’s word and no other (R27)', async () => {
  const good = entries();
  const next = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const verifier = verifierLine({ name: 'log.example', key: next.publicKey });
  const keysWith = (endorsement: string) =>
    JSON.stringify({
      keys: [
        { verifier, generation: 2, endorsement },
        { verifier: key, generation: 1, endorsement: null },
      ],
    });
  publish(good, good, next);
  // Nobody said that the key follows the old one.
  expect(await verify()).toMatchObject({ code: 1 });
  write('keys.json', keysWith(endorseKey(verifier, { name: 'log.example', key: pair.privateKey })));
  expect(await verify()).toMatchObject({ code: 0, said: expect.stringContaining('300 of 300 entries') });
  // Whoever holds the database makes a key, and its own word for it.
  write('keys.json', keysWith(endorseKey(verifier, { name: 'log.example', key: next.privateKey })));
  expect(await verify()).toMatchObject({ code: 1 });
});
