import { randomBytes, randomUUID } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createEnvelope } from '../src/index.ts';
import { fixedKeys, uuidBytes } from './fixed-keys.ts';
import { stockSdk } from '@postern/testing/encryption-sdk';

const version = randomUUID();
const branchKey = { id: randomUUID(), version: uuidBytes(version), key: randomBytes(32) };
const sdk = stockSdk({ ...branchKey, version });
const envelope = createEnvelope(fixedKeys(branchKey));
const context = { 'postern:purpose': 'records', 'postern:record': randomUUID(), zürich: 'ö', z: '' };
const at = { branchKeyId: branchKey.id, context };

const lengths = [0, 1, 1024, 4095, 4096, 4097, 8192, 100_000];

test.each(lengths)('the stock SDK opens what we seal, byte for byte and with its context: %i bytes', async (length) => {
  const plaintext = randomBytes(length);
  const opened = await sdk.open(await envelope.seal(plaintext, at));
  expect(opened.plaintext.equals(plaintext)).toBe(true);
  expect(opened.context).toEqual(context);
});

test.each(lengths)('we open what the stock SDK sealed: %i bytes', async (length) => {
  const plaintext = randomBytes(length);
  const ascii = { branchKeyId: branchKey.id, context: { b: '2', a: '1' } };
  expect((await envelope.open(await sdk.seal(plaintext, ascii.context), ascii)).equals(plaintext)).toBe(true);
  expect((await envelope.open(await sdk.seal(plaintext, ascii.context, 65_536), ascii)).equals(plaintext)).toBe(true);
});

test('an empty context is nothing at all in the header, as the specification has it', async () => {
  const none = { branchKeyId: branchKey.id, context: {} };
  const plaintext = randomBytes(64);
  expect((await sdk.open(await envelope.seal(plaintext, none))).plaintext.equals(plaintext)).toBe(true);
  expect((await envelope.open(await sdk.seal(plaintext, {}), none)).equals(plaintext)).toBe(true);
});

test('sealing costs the same bytes as the stock SDK', async () => {
  const plaintext = randomBytes(1024);
  const two = { 'postern:purpose': 'records', 'postern:record': randomUUID() };
  const ours = await envelope.seal(plaintext, { branchKeyId: branchKey.id, context: two });
  expect(ours.length).toBe((await sdk.seal(plaintext, two)).length);
});
