import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from '@jest/globals';
import type { Watermark } from '@postern/audit';
import {
  consistencyPath,
  emptyEdge,
  endorseKey,
  growEdge,
  inclusionPath,
  leafHash,
  rangeHash,
  rootHash,
  signCheckpoint,
  verifierLine,
  type Lookup,
} from '@postern/transparency';
import { judgeWatermark, type Witness } from './witness.ts';

/** A log in memory: its leaves are bytes of the test's choosing. */
function logOf(count: number, word = 'entry') {
  const nodes = new Map<string, Buffer>();
  const lookup: Lookup = ({ level, index }) => nodes.get(`${level}/${index}`)!;
  const leaves = Array.from({ length: count }, (_, i) => leafHash(Buffer.from(`${word} ${i}`)));
  leaves.forEach((hash, i) => nodes.set(`0/${i}`, hash));
  growEdge(emptyEdge, leaves, ({ level, index, hash }) => nodes.set(`${level}/${index}`, hash));
  return { leaves, lookup };
}
const origin = 'example.internal/audit';
const pair = generateKeyPairSync('ed25519');
const stranger = generateKeyPairSync('ed25519');
const line = verifierLine({ name: origin, key: pair.publicKey });
const text = (hash: Uint8Array) => Buffer.from(hash).toString('base64url');

type Log = ReturnType<typeof logOf>;
const noteOf = ({ lookup }: Log, size: number, key = pair.privateKey) =>
  signCheckpoint({ origin, size, root: rootHash(size, lookup) }, { name: origin, key });

/** What an honest log says about entry `index` (number index + 1) in its tree of `size`, to who saw `from`. */
function answer(log: Log, size: number, index: number, from: number): Watermark {
  return {
    producer: 'crypto-store',
    epoch: 1,
    seq: index + 1,
    hash: text(log.leaves[index]!),
    index,
    inclusion: inclusionPath(index, size).map((range) => text(rangeHash(range, log.lookup))),
    checkpoint: noteOf(log, size),
    consistency: consistencyPath(from, size).map((range) => text(rangeHash(range, log.lookup))),
    key: line,
  };
}

const log = logOf(40);
const seen: Witness = { logKey: line, firstKey: line, checkpoint: noteOf(log, 13), epoch: 1, seq: 10 };
const honest = answer(log, 30, 24, 13);
const own = log.leaves[24];
const judge = (over: Partial<Watermark>, mine: Uint8Array | undefined = own) =>
  judgeWatermark({ ...honest, ...over }, seen, 'crypto-store', mine);

test('an honest watermark moves the witness on (R27)', () => {
  expect(judge({})).toEqual({ logKey: line, firstKey: line, checkpoint: honest.checkpoint, epoch: 1, seq: 25 });
  expect(judgeWatermark(answer(log, 30, 24, 0), null, 'crypto-store', own)?.seq).toBe(25);
  const empty = { ...honest, seq: 0, hash: null, index: null, checkpoint: null, inclusion: [], consistency: [] };
  expect(judgeWatermark(empty, null, 'crypto-store', undefined)).toBeNull();
});

const rewritten = logOf(40, 'other');
test.each<[string, string, Partial<Watermark>]>([
  ['of another producer', 'other_producer', { producer: 'key-proxy' }],
  ['under another key', 'log_key_changed', { key: verifierLine({ name: origin, key: stranger.publicKey }) }],
  ['whose checkpoint a stranger signed', 'checkpoint_unsigned', { checkpoint: noteOf(log, 30, stranger.privateKey) }],
  ['without a checkpoint', 'checkpoint_missing', { checkpoint: null }],
  ['with a smaller tree', 'tree_shrank', { checkpoint: noteOf(log, 12) }],
  ['of a rewritten tree', 'tree_rewritten', { checkpoint: noteOf(rewritten, 30) }],
  ['of a rewritten tree with its own proof', 'tree_rewritten', { ...answer(rewritten, 30, 24, 13), hash: honest.hash }],
  ['with a proof cut short', 'tree_rewritten', { consistency: honest.consistency.slice(1) }],
  ['that went back', 'watermark_went_back', { seq: 9 }],
  ['that names another entry of ours', 'entry_differs', { hash: text(log.leaves[23]!) }],
  ['at another index', 'entry_not_included', { index: 23 }],
  ['further than what is included', 'entry_not_included', { inclusion: [] }],
])('a watermark %s is an alarm, %s, and nothing is deleted (R21, R27)', (_what, reason, over) => {
  expect(() => judge(over)).toThrow(expect.objectContaining({ name: 'WitnessAlarm', reason }));
});

test('a watermark for a number that we never gave is an alarm (R22)', () => {
  expect(() => judgeWatermark(honest, seen, 'crypto-store', undefined)).toThrow('entry_differs');
});

const next = verifierLine({ name: origin, key: stranger.publicKey });
const endorsement = endorseKey(next, { name: origin, key: pair.privateKey });
const followedBy = (verifier: string, word: string | undefined) => [
  { verifier, generation: 2, endorsement: word ?? null },
  { verifier: line, generation: 1, endorsement: null },
];
const keys = followedBy(next, endorsement);

test('a new key of the log that the known one endorsed is taken once it has signed (R27)', () => {
  const moved = judge({ key: next, keys, checkpoint: noteOf(log, 30, stranger.privateKey) });
  expect(moved).toMatchObject({ logKey: next, firstKey: line, seq: 25 });
  expect(judge({ key: next, keys })).toMatchObject({ logKey: line, seq: 25 });
  const later = { ...answer(log, 35, 29, 30), key: next, checkpoint: noteOf(log, 35, stranger.privateKey) };
  expect(judgeWatermark(later, moved, 'crypto-store', log.leaves[29])).toMatchObject({ logKey: next, seq: 30 });
});

test('two rotations between two looks are followed, and one that a stranger put between them is not (R27)', () => {
  const third = generateKeyPairSync('ed25519');
  const newest = verifierLine({ name: origin, key: third.publicKey });
  const chain = (by: typeof pair) => [
    { verifier: newest, generation: 3, endorsement: endorseKey(newest, { name: origin, key: by.privateKey }) },
    ...keys,
  ];
  const checkpoint = noteOf(log, 30, third.privateKey);
  expect(judge({ key: newest, keys: chain(stranger), checkpoint })).toMatchObject({ logKey: newest, seq: 25 });
  expect(() => judge({ key: newest, keys: chain(third), checkpoint })).toThrow('log_key_changed');
  expect(() => judge({ key: newest, keys: chain(stranger).slice(0, 1), checkpoint })).toThrow('log_key_changed');
});

test.each([
  ['no endorsement', undefined],
  ['one by itself', endorseKey(next, { name: origin, key: stranger.privateKey })],
  ['one of another key', endorseKey(line, { name: origin, key: pair.privateKey })],
])('a new key of the log with %s is an alarm (R27)', (_what, forged) => {
  const changed = { key: next, keys: followedBy(next, forged), checkpoint: noteOf(log, 30, stranger.privateKey) };
  expect(() => judge(changed)).toThrow('log_key_changed');
});

test('where the operator pinned the key no other is trusted at first sight, nor one that was before (R27)', () => {
  const first = answer(log, 30, 24, 0);
  expect(judgeWatermark(first, null, 'crypto-store', own, line)).toMatchObject({ firstKey: line });
  expect(() => judgeWatermark(first, null, 'crypto-store', own, next)).toThrow('log_key_changed');
  expect(() => judgeWatermark(honest, seen, 'crypto-store', own, next)).toThrow('log_key_not_pinned');
  const rotated = { ...first, key: next, keys, checkpoint: noteOf(log, 30, stranger.privateKey) };
  expect(judgeWatermark(rotated, null, 'crypto-store', own, line)).toMatchObject({ logKey: next, firstKey: line });
});
