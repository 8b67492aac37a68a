import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AuditEvent } from '@postern/audit';
import { verifyExport } from '@postern/client';
import { openCheckpoint, parseVerifier, verifyInclusion, leafHash } from '@postern/transparency';
import { ids, openSearchedLog, type Page, type SearchedLog } from './searched-log.ts';

let opened: SearchedLog;
let url: SearchedLog['url'];
let auditor: SearchedLog['auditor'];
let own: SearchedLog['own'];

beforeAll(async () => {
  opened = await openSearchedLog();
  ({ url, auditor, own } = opened);
});
afterAll(() => opened?.close());

const exported = async (query = '', tenant = 'acme') =>
  (await auditor.get(`${url}/v1/export${query}`, { tenant })).text.split('\n').filter((line) => line !== '');
const line = async () => (await auditor.get(`${url}/v1/log/key`, null)).text.trim();

test('an export verifies offline, and says when an event of it was left out, changed, or its end cut off (R28)', async () => {
  const lines = await exported('?action=record.read');
  const logKey = await line();
  const verified = await verifyExport(lines, { logKey });
  expect(verified).toMatchObject({ begin: 0, erased: 0 });
  expect(verified.events).toBeGreaterThanOrEqual(own(() => true).length);
  const at = lines.findIndex((one) => one.startsWith('{"event"'));
  const { index } = JSON.parse(lines[at]!) as { index: number };
  const without = lines.toSpliced(at, 1);
  await expect(verifyExport(without, { logKey })).rejects.toMatchObject({ code: 'export_refused', index });
  const changed = lines.with(at, lines[at]!.replace('"success"', '"refused"').replace('"refused"', '"success"'));
  if (changed[at] !== lines[at]) await expect(verifyExport(changed, { logKey })).rejects.toMatchObject({ index });
  const altered = lines.with(at, lines[at]!.replace('"portal"', '"qortal"').replace('"job"', '"jab"'));
  await expect(verifyExport(altered, { logKey })).rejects.toMatchObject({ index });
  await expect(verifyExport(lines.slice(0, -1), { logKey })).rejects.toMatchObject({ code: 'export_refused' });
  const receipt = lines.findIndex((one) => one.startsWith('{"receipt"'));
  await expect(verifyExport(lines.toSpliced(receipt, 1), { logKey })).rejects.toMatchObject({ code: 'export_refused' });
});

test('an export in OCSF holds the same events of the tenant and no other, each with its place in the log', async () => {
  type Ocsf = { class_uid: number; metadata: { uid: string; sequence: number; tenant_uid: string; product: object } };
  const asOcsf = (await exported('?format=ocsf&action=record.read&resource=record:r3')).map(
    (l) => JSON.parse(l) as Ocsf,
  );
  const shown = (await exported('?action=record.read&resource=record:r3'))
    .filter((l) => l.startsWith('{"event"'))
    .map((l) => JSON.parse(l) as { event: AuditEvent; index: number });
  expect(asOcsf.map(({ metadata: { uid, sequence } }) => [uid, sequence])).toEqual(
    shown.map(({ event: { id }, index }) => [id, index]),
  );
  expect(asOcsf.map(({ metadata: { uid } }) => uid).sort()).toEqual(own(({ resource }) => resource?.id === 'r3'));
  for (const { class_uid: uid, metadata } of asOcsf) {
    expect(uid).toBe(6003);
    expect(metadata).toMatchObject({ tenant_uid: 'acme', product: { feature: { name: 'crypto-store' } } });
  }
  expect((await auditor.get(`${url}/v1/export?format=xml`)).status).toBe(400);
});

test('an answer carries the evidence that nothing in its range is missing', async () => {
  const { status, body } = await auditor.get(`${url}/v1/events?evidence=true&limit=200&resource=record:r3`);
  expect(status).toBe(200);
  const page = body as unknown as Page & {
    indexes: number[];
    salts: string[];
    checkpoint: string;
    evidence: {
      begin: number;
      end: number;
      pseudonym: string;
      receipts: { index: number; leaf: string; proof: string[] }[];
      unmatched: number[];
      erased: number[];
    };
  };
  const verifier = parseVerifier(await line());
  const { size, root } = openCheckpoint(page.checkpoint, verifier.name, [verifier]);
  let reached = page.evidence.begin;
  const owned: number[] = [];
  for (const { index, leaf, proof } of page.evidence.receipts) {
    const bytes = Buffer.from(leaf, 'base64');
    const hashes = proof.map((hash) => Buffer.from(hash, 'base64'));
    expect(verifyInclusion({ leaf: leafHash(bytes), index, size, root, proof: hashes })).toBe(true);
    const { first, last, tenants } = JSON.parse(bytes.toString()) as {
      first: number;
      last: number;
      tenants: Record<string, string>;
    };
    expect(index - (last - first + 1)).toBe(reached);
    for (const range of (tenants[page.evidence.pseudonym] ?? '').split(',').filter(Boolean)) {
      const [low = 0, high = low] = range.split('-').map(Number);
      for (let i = low; i <= high; i += 1) owned.push(reached + i);
    }
    reached = index + 1;
  }
  expect(reached).toBe(page.evidence.end);
  expect([...page.indexes, ...page.evidence.unmatched, ...page.evidence.erased].sort((a, b) => a - b)).toEqual(owned);
  expect(ids(page)).toEqual(own(({ resource }) => resource?.id === 'r3'));
  const { text } = await auditor.get(`${url}/v1/export?resource=record:r3`);
  const exported = text.split('\n').flatMap((line) => line.match(/"salt":"([^"]+)"/)?.[1] ?? []);
  expect(page.salts).toEqual(exported);
});
