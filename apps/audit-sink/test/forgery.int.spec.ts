import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { packContent } from '@postern/audit';
import { busCa, issueSelfSigned } from '@postern/testing';
import { entry, hashOf, openSentBatches, signed, type Forgery, type SentBatches, type Signer } from './sent-batches.ts';
import { heldIds, until } from './world.ts';

let opened: SentBatches;
let world: SentBatches['world'];
let own: SentBatches['own'];
let send: SentBatches['send'];
let state: SentBatches['state'];
let quarantined: SentBatches['quarantined'];
let next: SentBatches['next'];

beforeAll(async () => {
  opened = await openSentBatches();
  ({ world, own, send, state, quarantined, next } = opened);
});
afterAll(() => opened?.close());
beforeEach(() => opened.stand());

/** A content that is signed as it is. */
const inflated = (content: Buffer): Forgery => ({
  content,
  manifest: { content: createHash('sha256').update(content).digest('base64url'), bytes: 1_048_576 },
});
const certificateOf = async (workload: string): Promise<Signer> => {
  const { paths } = await world.server.authority.issue(workload);
  return { cert: readFileSync(paths.cert, 'utf8'), key: readFileSync(paths.key, 'utf8') };
};

test('a batch signed by its producer, in place, is appended: the forgeries below differ in one thing each', async () => {
  const batch = next();
  await send(await signed(batch, own()));
  await until(async () => (await heldIds(world)).length === 2, 'the batch is in the log');
  const [row] = await world.log.query<{ hash: Buffer }>('select hash from log_watermarks');
  expect(row?.hash.toString('base64url')).toBe(hashOf(batch));
});

const selfSigned = async (): Promise<Signer> => {
  const leaf = await issueSelfSigned('crypto-store', { into: await mkdtemp(join(tmpdir(), 'self-signed-')) });
  return { cert: leaf.cert, key: leaf.key };
};

test.each<[string, string, () => Promise<unknown>]>([
  ['not signed', 'batch_not_signed', async () => 'not a signature'],
  ['not in the shape of a job', 'job_shape', async () => ({ forged: true })],
  [
    "signed by another service's certificate",
    'batch_of_another_producer',
    async () => signed(next(), await certificateOf('key-proxy')),
  ],
  [
    'signed for another producer',
    'batch_of_another_producer',
    async () => signed(next({ producer: 'key-proxy' }), own()),
  ],
  ['signed by a certificate of no anchor', 'certificate_untrusted', async () => signed(next(), await selfSigned())],
  [
    'signed by a certificate of the bus, not of workloads',
    'certificate_untrusted',
    async () => {
      const leaf = await busCa().issue('crypto-store');
      return signed(next(), { cert: readFileSync(leaf.paths.cert, 'utf8'), key: readFileSync(leaf.paths.key, 'utf8') });
    },
  ],
  [
    "under the producer's certificate with another's key",
    'batch_signature',
    async () => signed(next(), { cert: own().cert, key: (await certificateOf('crypto-store')).key }),
  ],
  [
    'altered after it was signed',
    'batch_signature',
    async () => {
      const [header, , rest] = (await signed(next(), own())).split('.');
      return `${header}.${Buffer.from(JSON.stringify({ v: 2 })).toString('base64url')}.${rest}`;
    },
  ],
  [
    'with another content than was signed',
    'batch_content',
    async () => signed(next(), own(), { content: packContent([entry(), entry()]).content }),
  ],
  ['in an epoch that no column holds', 'batch_shape', async () => signed(next({ epoch: 2 ** 31, first: 1 }), own())],
  ['with fewer entries than it says', 'batch_content', async () => signed(next(), own(), { manifest: { count: 3 } })],
  ['with more entries than it says', 'batch_content', async () => signed(next(), own(), { manifest: { count: 1 } })],
  [
    'with a content that would grow beyond its bound',
    'batch_content',
    async () => signed(next(), own(), inflated(zstdCompressSync(Buffer.alloc(50_000_000)))),
  ],
  ['with a torn content', 'batch_content', async () => signed(next(), own(), inflated(Buffer.alloc(70, 1)))],
  ['larger than it may be', 'job_shape', async () => 'x'.repeat(1_500_001)],
  ['a token of another kind (R7)', 'batch_header', async () => signed(next(), own(), { header: { typ: 'at+jwt' } })],
  ['signed, but no batch', 'batch_shape', async () => signed(next(), own(), { payload: { hello: 'there' } })],
  [
    'for a server only',
    'certificate_usage',
    async () => {
      const leaf = await world.server.authority.issue('crypto-store', { usages: ['serverAuth'] });
      return signed(next(), { cert: readFileSync(leaf.paths.cert, 'utf8'), key: readFileSync(leaf.paths.key, 'utf8') });
    },
  ],
])('a job that is %s changes nothing and is quarantined as %s (R25, R26)', async (_what, reason, forge) => {
  const before = await state();
  const known = (await quarantined()).length;
  await send(await forge());
  await until(async () => (await quarantined()).length > known, 'the job is quarantined');
  expect((await quarantined()).at(-1)).toBe(reason);
  expect(await state()).toEqual(before);
});

test('a flood of forged jobs leaves a bounded trace (R25)', async () => {
  await Promise.all(Array.from({ length: 200 }, (_, i) => send(`forged ${i}`)));
  const last = next();
  await send(await signed(last, own()));
  await until(async () => (await heldIds(world)).includes(last.entries[0]!.id), 'the honest batch is in the log');
  expect((await quarantined()).length).toBeLessThanOrEqual(120);
});
