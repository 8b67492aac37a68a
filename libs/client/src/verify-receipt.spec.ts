import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { beforeAll, expect, test } from '@jest/globals';
import { canonicalBytes, commitmentOf, entryLeaf, NO_PREVIOUS } from '@postern/audit';
import { endorseKey, leafHash, nodeHash, signCheckpoint, verifierLine } from '@postern/transparency';
import { PosternError } from './errors.ts';
import { type EventReceipt, verifyReceipt } from './verify-receipt.ts';

const origin = 'log.example/audit';
const log = generateKeyPairSync('ed25519');
const logKey = verifierLine({ name: origin, key: log.publicKey });
let receipt: EventReceipt;

/** A log of two entries, of which the receipt's event is the first. */
beforeAll(() => {
  const event = {
    v: 1,
    id: '01a1fc9c-81ee-71d4-b2b0-427badb3fe07',
    time: '2026-01-01T00:00:00.000Z',
    action: 'record.read',
    outcome: 'success',
    details: { source: 'db' },
  };
  const salt = randomBytes(32);
  const commitment = commitmentOf(salt, canonicalBytes(event));
  const place = { producer: 'crypto-store', epoch: 1, seq: 1, previous: NO_PREVIOUS };
  const leaf = Buffer.from(entryLeaf(place, { id: event.id, action: event.action, commitment }));
  const other = leafHash(Buffer.from('another entry'));
  const root = nodeHash(leafHash(leaf), other);
  receipt = {
    event,
    salt: salt.toString('base64url'),
    index: 0,
    leaf: leaf.toString('base64'),
    proof: [Buffer.from(other).toString('base64')],
    checkpoint: signCheckpoint({ origin, size: 2, root }, { name: origin, key: log.privateKey }),
    key: logKey,
  };
});

test('a receipt of the log verifies offline', () => {
  expect(verifyReceipt(receipt, { logKey: `${logKey}\n` })).toEqual({
    event: receipt.event,
    index: 0,
    treeSize: 2,
    origin,
  });
});

test('a receipt under a later key verifies under an old one by its word, and by nobody else’s (R27)', () => {
  const [next, stranger] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')];
  const line = verifierLine({ name: origin, key: next.publicKey });
  const [, size = '', root = ''] = receipt.checkpoint.split('\n');
  const checkpoint = signCheckpoint(
    { origin, size: Number(size), root: Buffer.from(root, 'base64') },
    { name: origin, key: next.privateKey },
  );
  const under = (key: typeof next): EventReceipt => ({
    ...receipt,
    checkpoint,
    key: line,
    keys: [
      { verifier: line, generation: 2, endorsement: endorseKey(line, { name: origin, key: key.privateKey }) },
      { verifier: logKey, generation: 1, endorsement: null },
    ],
  });
  expect(verifyReceipt(under(log), { logKey }).treeSize).toBe(2);
  expect(() => verifyReceipt(under(stranger), { logKey })).toThrow('a later key was not endorsed');
  expect(() => verifyReceipt({ ...under(log), keys: [] }, { logKey })).toThrow('no known key');
});

test('whatever is changed in a receipt, it is refused', () => {
  const changes: Partial<EventReceipt>[] = [
    { event: { ...receipt.event, details: { source: 'cache' } } },
    { event: { ...receipt.event, id: '01a1fc9c-81ee-71d4-b2b0-427badb3fe08' } },
    { salt: randomBytes(32).toString('base64url') },
    { salt: '' },
    { index: 1 },
    { leaf: Buffer.from('{"kind":"entry"}').toString('base64') },
    { proof: [] },
    { proof: [randomBytes(32).toString('base64')] },
    { checkpoint: receipt.checkpoint.replace('\n2\n', '\n3\n') },
    { checkpoint: 'no note' },
  ];
  for (const change of changes) {
    expect(() => verifyReceipt({ ...receipt, ...change }, { logKey })).toThrow(
      expect.objectContaining({ code: 'receipt_refused' }),
    );
  }
});

test('a log that brings its own key convinces nobody', () => {
  const stranger = generateKeyPairSync('ed25519');
  const known = verifierLine({ name: origin, key: stranger.publicKey });
  expect(() => verifyReceipt(receipt, { logKey: known })).toThrow(expect.objectContaining({ code: 'receipt_refused' }));
  expect(() => verifyReceipt(receipt, { logKey: 'nothing' })).toThrow('not a verifier line');
});

test('what has not even the form of a receipt is refused like any other, whichever field it is', () => {
  const values = [null, 5, -1, 'x', [], {}, [null], [5], undefined];
  const broken: unknown[] = [null, 5, 'x', [], {}];
  for (const field of [...Object.keys(receipt), 'keys'])
    for (const value of values) broken.push({ ...receipt, [field]: value });
  const refusals = broken.map((one) => {
    try {
      return verifyReceipt(one as EventReceipt, { logKey }) && 'taken';
    } catch (error) {
      return error instanceof PosternError ? error.code : String(error);
    }
  });
  // Neither the key that it brings, nor an index or keys that are left out, is what a receipt is believed by.
  expect(refusals.filter((one) => one !== 'receipt_refused' && one !== 'taken')).toEqual([]);
  const taken = broken.filter((_, at) => refusals[at] === 'taken') as EventReceipt[];
  for (const one of taken) expect({ ...one, key: null, keys: null }).toEqual({ ...receipt, key: null, keys: null });
});
