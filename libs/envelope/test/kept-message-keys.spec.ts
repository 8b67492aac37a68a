import { randomBytes, randomUUID } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createEnvelope, EnvelopeRefused, type BranchKey } from '../src/index.ts';
import { fixedKeys, uuidBytes } from './fixed-keys.ts';

const branchKey = (): BranchKey => ({ id: randomUUID(), version: uuidBytes(randomUUID()), key: randomBytes(32) });
const secret = Buffer.from('canary-secret');

test('R31: a message that was opened before opens again, and with any one byte of it changed it does not', async () => {
  const ours = branchKey();
  const envelope = createEnvelope(fixedKeys(ours));
  const at = { branchKeyId: ours.id, context: { record: '1' } };
  const message = await envelope.seal(secret, at);
  for (let byte = 0; byte < message.length; byte += 1) {
    // Its key is kept by now, whatever the altered one before did.
    expect(await envelope.open(message, at)).toEqual(secret);
    const altered = Buffer.from(message);
    altered[byte]! ^= 1;
    await expect(envelope.open(altered, at)).rejects.toThrow(EnvelopeRefused);
  }
});

test('R33: a kept message key is no way around its branch key: lent anew, or not at all, it decides again', async () => {
  const ours = branchKey();
  const at = { branchKeyId: ours.id, context: { record: '1' } };
  const message = await createEnvelope(fixedKeys(ours)).seal(secret, at);
  expect(await createEnvelope(fixedKeys(ours)).open(message, at)).toEqual(secret);
  const another = { ...ours, key: randomBytes(32) };
  await expect(createEnvelope(fixedKeys(another)).open(message, at)).rejects.toThrow(EnvelopeRefused);
  await expect(createEnvelope(fixedKeys()).open(message, at)).rejects.toThrow(EnvelopeRefused);
  expect(await createEnvelope(fixedKeys({ ...ours })).open(message, at)).toEqual(secret);
});

test('more messages than are kept open all the same', async () => {
  const ours = branchKey();
  const envelope = createEnvelope(fixedKeys(ours));
  const at = { branchKeyId: ours.id, context: {} };
  const messages = await Promise.all(Array.from({ length: 4_200 }, (_, i) => envelope.seal(Buffer.from([i]), at)));
  for (let round = 0; round < 2; round += 1) {
    for (const [i, message] of messages.entries()) {
      expect((await envelope.open(message, at))[0]).toBe(i & 0xff);
    }
  }
});
