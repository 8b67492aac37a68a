import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createEnvelope } from '../src/index.ts';
import { fixedKeys, uuidBytes } from './fixed-keys.ts';
import { gathered, inPieces } from './pieces.ts';
import { randomCase, seeded, type RandomCase } from './random-case.ts';
import { stockSdk } from '@postern/testing/encryption-sdk';

const id = randomUUID();
const versions = Array.from({ length: 5 }, () => {
  const version = randomUUID();
  const key = randomBytes(32);
  return { held: { id, version: uuidBytes(version), key }, sdk: stockSdk({ id, version, key }) };
});
const all = versions.map(({ held }) => held);
const CASES = 80;

/** With that version as the active one, and all others there. */
const envelopeUnder = (version: number) => createEnvelope(fixedKeys(...all.slice(version), ...all.slice(0, version)));

async function agree({ context, plaintext, frameLength, version }: RandomCase): Promise<void> {
  const { sdk } = versions[version]!;
  const envelope = envelopeUnder(version);
  const reader = envelopeUnder(0);
  const at = { branchKeyId: id, context };
  const ours = await envelope.seal(plaintext, at);
  const streamed = await gathered((await envelope.sealStream(inPieces(plaintext, 10_007), at)).pieces);
  for (const message of [ours, streamed]) {
    const opened = await sdk.open(message);
    expect(opened.plaintext.equals(plaintext)).toBe(true);
    expect(opened.context).toEqual(context);
  }
  const theirs = await sdk.seal(plaintext, context, frameLength);
  expect((await reader.open(theirs, at)).equals(plaintext)).toBe(true);
  expect((await gathered((await reader.openStream(inPieces(theirs, 3001), at)).pieces)).equals(plaintext)).toBe(true);
}

test('any plaintext, context and key version: the stock SDK opens what we sealed, and we what it sealed', async () => {
  const seed = Number(process.env['ENVELOPE_SEED'] ?? randomInt(1, 2 ** 31));
  const next = seeded(seed);
  for (let count = 0; count < CASES; count += 1) {
    const one = randomCase(next, versions.length);
    await agree(one).catch((cause: unknown) => {
      throw new Error(`case ${count} of ENVELOPE_SEED=${seed}, context ${JSON.stringify(one.context)}`, { cause });
    });
  }
});
