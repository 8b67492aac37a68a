import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { createEnvelope } from '../src/index.ts';
import { fixedKeys, uuidBytes } from './fixed-keys.ts';
import { gathered, inPieces } from './pieces.ts';
import { type Vectors } from './vectors/vectors.ts';

const vectors = JSON.parse(readFileSync(new URL('vectors/messages.json', import.meta.url), 'utf8')) as Vectors;
const keys = vectors.keys.map(({ id, version, key }) => ({
  id,
  version: uuidBytes(version),
  key: Buffer.from(key, 'base64'),
}));
const envelope = createEnvelope(fixedKeys(...keys));

test('messages that the stock SDK sealed once still open, whole and as streams', async () => {
  expect(vectors.messages.length).toBeGreaterThanOrEqual(36);
  for (const { key, context, plaintext, message } of vectors.messages) {
    const at = { branchKeyId: keys[key]?.id ?? '', context };
    const bytes = Buffer.from(message, 'base64');
    expect((await envelope.open(bytes, at)).toString('base64')).toBe(plaintext);
    const streamed = await gathered((await envelope.openStream(inPieces(bytes, 100), at)).pieces);
    expect(streamed.toString('base64')).toBe(plaintext);
  }
});
