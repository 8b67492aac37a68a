import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { leafHash, nodeHash, signCheckpoint, verifierLine } from '@postern/transparency';
import { PosternError } from './errors.ts';
import { ExportRefused, verifyExport } from './verify-export.ts';

const origin = 'log.example/audit';
const log = generateKeyPairSync('ed25519');
const logKey = verifierLine({ name: origin, key: log.publicKey });
const pseudonym = 'tenant-1';

/** The export of a log of one entry and the receipt of its batch, which says that these places of the batch are the tenant's. */
function exportOf(places: string): string[] {
  const entry = leafHash(Buffer.from('an entry'));
  const leaf = Buffer.from(JSON.stringify({ kind: 'batch', first: 1, last: 1, tenants: { [pseudonym]: places } }));
  const root = nodeHash(entry, leafHash(leaf));
  const checkpoint = signCheckpoint({ origin, size: 2, root }, { name: origin, key: log.privateKey });
  const receipt = { index: 1, leaf: leaf.toString('base64'), proof: [Buffer.from(entry).toString('base64')] };
  return [
    { log: { origin, checkpoint, begin: 0, end: 2, pseudonym } },
    { receipt },
    { left: { begin: 0, end: 2, unmatched: [0], erased: [] } },
    { end: { events: 0 } },
  ].map((line) => JSON.stringify(line));
}

test('an export speaks for the entries whose batches it brings', async () => {
  const verified = await verifyExport(exportOf('0'), { logKey, pseudonym });
  expect(verified).toEqual({ origin, begin: 0, end: 2, treeSize: 2, events: 0, unmatched: 1, erased: 0 });
});

test.each(['1', '0-1', '0-999999999999', '1-0', '-1', 'x', '0,,5'])(
  'a receipt that gives the tenant the places %p of a batch of one is refused before they are counted out',
  async (places) => {
    const refused = await verifyExport(exportOf(places), { logKey, pseudonym }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ExportRefused);
    expect((refused as ExportRefused).index).toBe(1);
    expect(String(refused)).toContain('places that its batch does not have');
  },
);

test("the tenant's entry that is neither shown nor accounted for is missing", async () => {
  const withheld = exportOf('0').map((line) => line.replace('"unmatched":[0]', '"unmatched":[]'));
  await expect(verifyExport(withheld, { logKey, pseudonym })).rejects.toThrow('is missing at entry 0');
});

test('what has not even the form of an export is refused like any other, whichever line and field it is', async () => {
  const lines = exportOf('0');
  const broken: string[][] = ['null', '5', '"x"', '[]', '{}', '{"end":null}'].map((line) => [line]);
  for (const [at, line] of lines.entries()) {
    const [[name = '', fields]] = Object.entries(JSON.parse(line) as Record<string, object>) as [[string, object]];
    for (const value of ['null', '5', '"x"', '[]', '{}', '{"end":{}}']) {
      broken.push(lines.with(at, value), lines.with(at, `{"${name}":${value}}`));
      for (const field of Object.keys(fields))
        broken.push(lines.with(at, JSON.stringify({ [name]: { ...fields, [field]: JSON.parse(value) as unknown } })));
    }
  }
  const thrown = await Promise.all(
    broken.map((one) =>
      verifyExport(one, { logKey, pseudonym }).then(
        () => one.join(),
        (error: unknown) => error,
      ),
    ),
  );
  expect(thrown.length).toBeGreaterThan(80);
  // A list that was empty may be given as one.
  expect(thrown.filter((one) => !(one instanceof PosternError) && one !== lines.join())).toEqual([]);
});
