import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { verifyExport, verifyReceipt, type EventReceipt } from '@postern/client';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from 'undici';
import { NoteRefused, openCheckpoint, parseVerifier, verifiersFrom } from '@postern/transparency';
import { rotateCheckpointKey } from '../src/log/checkpoint-key.ts';
import { event, heldIds, openKeys, openWorld, until, type World } from './world.ts';

let world: World;
let auditor: Awaited<ReturnType<World['caller']>>;

beforeAll(async () => {
  world = await openWorld();
  auditor = await world.caller();
});
afterAll(async () => {
  await world?.close();
});

type Keys = { keys: { verifier: string; generation: number; endorsement: string | null }[] };

test('R27: after a rotation to ES256 the log signs with the new key; who trusts the old one follows by its word, relays too', async () => {
  const producer = await world.producer();
  const witness = async () =>
    (await producer.postgres.query<{ log_key: string; seq: string }>('select * from audit_witness'))[0];
  const witnessed = async (url: string) => {
    const one = event();
    const relay = await producer.relay(url);
    const before = Number((await witness())?.seq ?? 0);
    await producer.audit.commit(one);
    await until(async () => (await heldIds(world)).includes(one.id), 'the event is in the log');
    await until(async () => Number((await witness())?.seq) > before, 'its producer has seen it there');
    await relay.close();
    return one;
  };
  const first = await world.sink();
  const old = (await auditor.get(`${first.url}/v1/log/key`, null)).text.trim();
  await witnessed(first.url);
  await first.close();

  const held = await openKeys(world);
  const origin = held.key.origin;
  expect(await rotateCheckpointKey(world.log.query, held.sealer, { origin, fips: true })).toBe(true);
  held.close();

  const { url } = await world.sink();
  const after = await witnessed(url);
  const line = (await auditor.get(`${url}/v1/log/key`, null)).text.trim();
  expect(line).not.toBe(old);
  expect(parseVerifier(line).key.asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' });

  // The checkpoint is the new key's alone; from the old key on, the published keys lead to it.
  const { keys } = (await auditor.get(`${url}/v1/log/keys`, null)).body as unknown as Keys;
  expect(keys.map(({ verifier }) => verifier)).toEqual([line, old]);
  const { text: note } = await auditor.get(`${url}/v1/log/checkpoint`, null);
  expect(() => openCheckpoint(note, origin, [parseVerifier(old)])).toThrow(NoteRefused);
  expect(openCheckpoint(note, origin, verifiersFrom(old, keys)).size).toBeGreaterThan(0);
  const forged = keys.map((key) => ({ ...key, endorsement: keys[0]!.endorsement!.replace(/.{8}\n$/, 'AAAAAAA=\n') }));
  expect(() => verifiersFrom(old, forged)).toThrow(NoteRefused);

  const receipt = (await auditor.get(`${url}/v1/events/${after.id}/receipt`)).body as unknown as EventReceipt;
  expect(verifyReceipt(receipt, { logKey: line }).event.id).toBe(after.id);
  expect((await witness())?.log_key).toBe(line);
  expect(world.logged.join('')).not.toMatch(/log_key_changed|checkpoint_unsigned/);
});

test('R27: the key is rotated by a request; every replica takes it without a restart, and receipt, export and folder lead from the old line to it', async () => {
  const [one, two] = [await world.sink(), await world.sink({ POSTERN_ROLE: 'api' })];
  const producer = await world.producer('key-proxy');
  await producer.relay(one.url);
  const append = async () => {
    const made = event();
    await producer.audit.commit(made);
    await until(async () => (await heldIds(world, 'key-proxy')).includes(made.id), 'the event is in the log');
    return made.id;
  };
  const keyOf = async (url: string) => (await auditor.get(`${url}/v1/log/key`, null)).text.trim();
  const receiptOf = async (url: string, id: string) =>
    (await auditor.get(`${url}/v1/events/${id}/receipt`)).body as unknown as EventReceipt;
  const rotate = async (roles: string[]) => {
    const answer = await request(`${one.url}/v1/log/keys/rotate`, {
      method: 'POST',
      dispatcher: auditor.dispatcher,
      headers: {
        authorization: `Bearer ${await auditor.token({ scopes: ['log:operate'], roles })}`,
        'content-type': 'application/json',
      },
      body: '{}',
    });
    return { status: answer.statusCode, body: (await answer.body.json()) as { verifier: string; generation: number } };
  };
  const kept = await keyOf(two.url);
  const before = await append();
  expect((await rotate(['admin'])).status).toBe(403);
  expect(await keyOf(two.url)).toBe(kept);
  const made = await rotate(['operator']);
  expect(made).toMatchObject({ status: 200, body: { generation: expect.any(Number) } });
  expect(made.body.verifier).not.toBe(kept);
  expect(await keyOf(two.url)).toBe(made.body.verifier);
  const after = await append();

  // Of both replicas, of what was appended before and after, under the line that was kept before.
  for (const { url } of [one, two]) {
    for (const id of [before, after]) {
      const receipt = await receiptOf(url, id);
      expect(receipt.key).toBe(made.body.verifier);
      expect(verifyReceipt(receipt, { logKey: kept })).toMatchObject({ event: { id } });
      expect(verifyReceipt(receipt, { logKey: made.body.verifier }).event.id).toBe(id);
      expect(() => verifyReceipt({ ...receipt, keys: [] }, { logKey: kept })).toThrow('no known key');
    }
  }
  const { text } = await auditor.get(`${two.url}/v1/export`);
  expect(await verifyExport(text.split('\n'), { logKey: kept })).toMatchObject({
    origin: 'dev.postern.internal/audit',
  });
  const cut = text.replace(/"keys":\[.*?\],"checkpoint"/, '"keys":[],"checkpoint"');
  expect(cut).not.toBe(text);
  await expect(verifyExport(cut.split('\n'), { logKey: kept })).rejects.toThrow('no known key');
  const published = () => readFile(join(world.published, 'keys.json'), 'utf8').catch(() => '{"keys":[]}');
  const lines = async () => (JSON.parse(await published()) as Keys).keys.map(({ verifier }) => verifier);
  await until(async () => (await lines())[0] === made.body.verifier, 'the keys are published');
  const note = await readFile(join(world.published, 'checkpoint'), 'utf8');
  const { keys } = JSON.parse(await published()) as Keys;
  expect(openCheckpoint(note, 'dev.postern.internal/audit', verifiersFrom(kept, keys)).size).toBeGreaterThan(0);

  // Two rotations between two looks of its relay.
  await rotate(['operator']);
  await rotate(['operator']);
  await append();
  const witness = async () =>
    (await producer.postgres.query<{ log_key: string }>('select log_key from audit_witness'))[0];
  const newest = await keyOf(one.url);
  await until(async () => (await witness())?.log_key === newest, 'the relay follows');
  expect(world.logged.join('')).not.toMatch(/log_key_changed|checkpoint_unsigned/);
  const logged = () => auditor.get(`${two.url}/v1/events?action=log.key_rotated&outcome=success`);
  await until(
    async () => ((await logged()).body as { events: unknown[] }).events.length === 3,
    'rotations are in the log',
  );
});
