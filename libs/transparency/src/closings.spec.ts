import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from '@jest/globals';
import {
  leafHash,
  NoteRefused,
  openCheckpoint,
  openClosings,
  signCheckpoint,
  signClosings,
  signNote,
} from './index.ts';

const pair = generateKeyPairSync('ed25519');
const signer = { name: 'log.example', key: pair.privateKey };
const verifiers = [{ name: 'log.example', key: pair.publicKey }];
const at = new Date('2026-01-02T03:04:05.678Z');
const closing = { producer: 'key-proxy', epoch: 2, seq: 70, certificatesBefore: at, closedAt: at };
const said = { size: 9, closings: [closing, { ...closing, producer: 'auth-manager' }] };
const read = (note: string, origin = 'log.example') => openClosings(note, origin, verifiers);

test('closings are read back as they were signed, also none', () => {
  expect(read(signClosings(said, signer))).toEqual(said);
  expect(read(signClosings({ size: 0, closings: [] }, signer))).toEqual({ size: 0, closings: [] });
});

test('neither an altered line, nor another log, nor another note of this one is taken for them', () => {
  const note = signClosings(said, signer);
  const checkpoint = signCheckpoint({ origin: 'log.example', size: 7, root: leafHash(Buffer.from('root')) }, signer);
  expect(() => read(note.replace(' 70 ', ' 71 '))).toThrow(NoteRefused);
  expect(() => read(note, 'another.example')).toThrow(NoteRefused);
  expect(() => read(checkpoint)).toThrow(NoteRefused);
  expect(() => openCheckpoint(note, 'log.example', verifiers)).toThrow(NoteRefused);
});

test.each(['key-proxy 2 70', 'key-proxy 2 70 2026-13-02T03:04:05.678Z 2026-13-02T03:04:05.678Z', ''])(
  'a line that names no closing is refused: %j',
  (line) => {
    expect(() => read(signNote(`log.example\nclosings\n9\n${line}\n`, signer))).toThrow(NoteRefused);
  },
);
