import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { verifyReceipt, type EventReceipt } from '@postern/client';
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
