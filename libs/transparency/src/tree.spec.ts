import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createHash, generateKeyPairSync } from 'node:crypto';

import {
  consistencyPath,
  emptyEdge,
  growEdge,
  inclusionPath,
  leafHash,
  NoteRefused,
  openCheckpoint,
  openNote,
  parseVerifier,
  rangeHash,
  rootHash,
  signCheckpoint,
  signNote,
  verifierLine,
  verifyConsistency,
  verifyInclusion,
  type Lookup,
} from './index.ts';

/** RFC 9162 section 2.1.1 written down as it stands there, on lists of entries: slow, and independent of the code under test. */
function naiveRoot(entries: readonly Buffer[]): Buffer {
  const sha = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
  const [only] = entries;
  if (only === undefined) return sha();
  if (entries.length === 1) return sha(Buffer.from([0]), only);
  let k = 1;
  while (k * 2 < entries.length) k *= 2;
  return sha(Buffer.from([1]), naiveRoot(entries.slice(0, k)), naiveRoot(entries.slice(k)));
}

/** The complete subtrees of a tree of these entries, leaves too. */
function lookupOf(entries: readonly Buffer[]): Lookup {
  const nodes = new Map<string, Buffer>();
  const keep = ({ level, index, hash }: { level: number; index: number; hash: Buffer }) =>
    void nodes.set(`${level}/${index}`, hash);
  const leaves = entries.map(leafHash);
  leaves.forEach((hash, index) => keep({ level: 0, index, hash }));
  growEdge(emptyEdge, leaves, keep);
  return ({ level, index }) => {
    const hash = nodes.get(`${level}/${index}`);
    if (!hash) throw new Error(`node ${level}/${index} was never finished`);
    return hash;
  };
}

function log(size: number): { entries: Buffer[]; lookup: Lookup } {
  const entries = Array.from({ length: size }, (_, index) => Buffer.from(`entry ${index}`));
  return { entries, lookup: lookupOf(entries) };
}

describe('the tree is RFC 9162’s', () => {
  test('roots of the trees that the certificate transparency test vectors publish', () => {
    // Entries and roots of the reference vectors of RFC 6962 implementations (certificate-transparency, MerkleTreeTest).
    const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
    const entries = inputs.map((hex) => Buffer.from(hex, 'hex'));
    const roots = [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
      'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
      '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
      'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
      '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
    ];
    const lookup = lookupOf(entries);
    entries.forEach((_, index) => expect(rootHash(index + 1, lookup).toString('hex')).toBe(roots[index]));
  });

  test('every size up to 70 has the root of the definition', () => {
    const { entries, lookup } = log(70);
    for (let size = 0; size <= 70; size++) {
      expect(rootHash(size, lookup)).toEqual(naiveRoot(entries.slice(0, size)));
    }
  });
});

describe('proofs', () => {
  const { entries, lookup } = log(70);
  const pairs = fc
    .tuple(fc.integer({ min: 0, max: 70 }), fc.integer({ min: 0, max: 70 }))
    .map(([a, b]) => (a < b ? [a, b] : [b, a]) as [number, number]);

  test('each entry of each tree is proven, at its own index only and under its own root only', () => {
    fc.assert(
      fc.property(pairs, fc.nat(), ([index, size], other) => {
        fc.pre(index < size);
        const proof = inclusionPath(index, size).map((range) => rangeHash(range, lookup));
        const claim = { leaf: leafHash(entries[index]!), index, size, proof, root: rootHash(size, lookup) };
        expect(verifyInclusion(claim)).toBe(true);
        expect(verifyInclusion({ ...claim, index: (index + 1 + (other % size)) % (size + 1) })).toBe(
          index === (index + 1 + (other % size)) % (size + 1),
        );
        expect(verifyInclusion({ ...claim, root: leafHash(Buffer.from('x')) })).toBe(false);
        expect(verifyInclusion({ ...claim, proof: [...proof, proof[0] ?? claim.leaf] })).toBe(false);
        if (proof.length > 0) expect(verifyInclusion({ ...claim, proof: proof.slice(1) })).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  test('each tree is shown to extend each smaller one, and no other', () => {
    fc.assert(
      fc.property(pairs, ([m, n]) => {
        const proof = consistencyPath(m, n).map((range) => rangeHash(range, lookup));
        const first = { size: m, root: rootHash(m, lookup) };
        const second = { size: n, root: rootHash(n, lookup) };
        expect(verifyConsistency({ first, second, proof })).toBe(true);
        const forged = { size: m, root: leafHash(Buffer.from('another history')) };
        if (m > 0) expect(verifyConsistency({ first: forged, second, proof })).toBe(false);
        if (m > 0) expect(verifyConsistency({ first, second: { size: n, root: forged.root }, proof })).toBe(false);
        if (proof.length > 0) expect(verifyConsistency({ first, second, proof: proof.slice(0, -1) })).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});

describe('signed notes', () => {
  const ed25519 = generateKeyPairSync('ed25519');
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  test('the Go module checksum database’s own example opens with its published key', () => {
    // Key and note of golang.org/x/mod/sumdb/note, its documented example.
    const key = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
    const note =
      'If you think cryptography is the answer to your problem,\n' +
      "then you don't know what your problem is.\n\n" +
      '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';
    expect(openNote(note, [parseVerifier(key)])).toContain('then you');
    expect(() => openNote(note.replace('answer', 'Answer'), [parseVerifier(key)])).toThrow(NoteRefused);
  });

  test.each([
    ['Ed25519', ed25519],
    ['ECDSA P-256', p256],
  ])('a checkpoint signed with %s is read back, and by the line of its verifier', (_, { privateKey, publicKey }) => {
    const checkpoint = { origin: 'log.example/postern', size: 7, root: leafHash(Buffer.from('root')) };
    const note = signCheckpoint(checkpoint, { name: 'log.example/postern', key: privateKey });
    const verifier = parseVerifier(verifierLine({ name: 'log.example/postern', key: publicKey }));
    expect(openCheckpoint(note, 'log.example/postern', [verifier])).toEqual(checkpoint);
    expect(() => openCheckpoint(note, 'another.example/log', [verifier])).toThrow(NoteRefused);
    expect(() => openCheckpoint(note.replace('\n7\n', '\n8\n'), 'log.example/postern', [verifier])).toThrow(
      NoteRefused,
    );
  });

  test('a note signed by nobody we know is refused, and so is a text with control characters', () => {
    const note = signNote('text\n', { name: 'a', key: ed25519.privateKey });
    const stranger = { name: 'a', key: generateKeyPairSync('ed25519').publicKey };
    expect(() => openNote(note, [stranger])).toThrow(NoteRefused);
    expect(() => signNote('text\u0000\n', { name: 'a', key: ed25519.privateKey })).toThrow(NoteRefused);
    expect(() => signNote('no newline', { name: 'a', key: ed25519.privateKey })).toThrow(NoteRefused);
  });
});
