import { randomBytes, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';
import { stockSdk } from '@postern/testing/encryption-sdk';
import { type Vectors } from './vectors.ts';

// `node libs/envelope/test/vectors/make-vectors.ts` writes messages.json anew, with the stock SDK that is installed.
// What is committed stays as it is: it shows that messages of long ago still open.

const { version: sdk } = createRequire(import.meta.url)('@aws-crypto/client-node/package.json') as { version: string };
const keys = [1, 2].map(() => ({ id: randomUUID(), version: randomUUID(), key: randomBytes(32) }));
const contexts: Record<string, string>[] = [
  {},
  { record: 'r-1', version: '1' },
  { 'postern:purpose': 'transit', z: '' },
];
const sizes = [
  [0, 4096],
  [1, 4096],
  [64, 64],
  [65, 64],
  [200, 64],
  [5000, 4096],
] as const;

const messages: Vectors['messages'] = [];
for (const [index, key] of keys.entries()) {
  for (const context of contexts) {
    for (const [bytes, frameLength] of sizes) {
      const plaintext = randomBytes(bytes);
      const message = await stockSdk(key).seal(plaintext, context, frameLength);
      messages.push({
        key: index,
        context,
        frameLength,
        plaintext: plaintext.toString('base64'),
        message: message.toString('base64'),
      });
    }
  }
}
const vectors: Vectors = {
  source: `@aws-crypto/client-node ${sdk}, hierarchical keyring, suite 0x0478, by make-vectors.ts`,
  keys: keys.map(({ id, version, key }) => ({ id, version, key: key.toString('base64') })),
  messages,
};
writeFileSync(new URL('messages.json', import.meta.url), `${JSON.stringify(vectors, null, 2)}\n`);
