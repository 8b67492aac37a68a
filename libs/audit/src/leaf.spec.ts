import { expect, test } from '@jest/globals';
import { canonicalBytes, chainHash, commitmentOf, entryLeaf, NO_PREVIOUS } from './index.ts';

const at = { producer: 'crypto-store', epoch: 1, seq: 1, previous: NO_PREVIOUS };
const commitment = commitmentOf(new Uint8Array(32).fill(7), new TextEncoder().encode('{"sub":"alice"}'));
const of = { id: '019a0000-0000-7000-8000-000000000000', action: 'record.read', commitment };

test('a leaf holds ids, action and commitment, and nothing of the event (R28)', () => {
  const leaf = new TextDecoder().decode(entryLeaf(at, of));
  expect(Object.keys(JSON.parse(leaf))).toEqual([
    'action',
    'commitment',
    'epoch',
    'id',
    'kind',
    'previous',
    'producer',
    'seq',
    'v',
  ]);
  expect(leaf).not.toContain('alice');
});

test('one event under two salts has two commitments, and a salt of another length is refused (R28)', () => {
  const event = new TextEncoder().encode('{}');
  expect(commitmentOf(new Uint8Array(32), event)).not.toEqual(commitmentOf(new Uint8Array(32).fill(1), event));
  expect(() => commitmentOf(new Uint8Array(31), event)).toThrow(RangeError);
});

test('place, predecessor, id, action and commitment each change the link of the chain (R22)', () => {
  const links = [
    entryLeaf(at, of),
    entryLeaf({ ...at, seq: 2 }, of),
    entryLeaf({ ...at, epoch: 2 }, of),
    entryLeaf({ ...at, producer: 'key-proxy' }, of),
    entryLeaf({ ...at, previous: new Uint8Array(32).fill(1) }, of),
    entryLeaf(at, { ...of, action: 'record.written' }),
    entryLeaf(at, { ...of, commitment: new Uint8Array(32) }),
  ].map((leaf) => Buffer.from(chainHash(leaf)).toString('hex'));
  expect(new Set(links).size).toBe(links.length);
});

test('the bytes of a leaf are canonical (RFC 8785)', () => {
  for (const action of ['record.read', 'odd"\\action']) {
    const leaf = entryLeaf({ ...at, seq: 12_345_678, epoch: 3 }, { ...of, action });
    expect(leaf).toEqual(Buffer.from(canonicalBytes(JSON.parse(leaf.toString()))));
  }
});
