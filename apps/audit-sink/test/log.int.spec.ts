import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { canonicalBytes, packEntries, commitmentOf } from '@postern/audit';
import { parseVerifier, verifyConsistency, openCheckpoint, verifyReceipt, type Receipt } from '@postern/transparency';
import { event, heldIds, openWorld, until, type World } from './world.ts';

let world: World;
let url: string;
let producer: Awaited<ReturnType<World['producer']>>;
let auditor: Awaited<ReturnType<World['caller']>>;

beforeAll(async () => {
  world = await openWorld();
  ({ url } = await world.sink());
  producer = await world.producer();
  await producer.relay(url, 0);
  auditor = await world.caller();
});
afterAll(async () => {
  await world?.close();
});

const commit = (events: ReturnType<typeof event>[]) => Promise.all(events.map((e) => producer.audit.commit(e)));
const held = async (ids: string[]) => {
  const there = new Set(await heldIds(world));
  return ids.every((id) => there.has(id));
};

test('an acknowledged event is in the log once, and its receipt verifies offline', async () => {
  const events = Array.from({ length: 40 }, () => event());
  await commit(events);
  await until(() => held(events.map(({ id }) => id)), 'the events are in the log');
  const reply = await auditor.get(`${url}/v1/events?limit=200`);
  expect(reply.status).toBe(200);
  const shown = (reply.body['events'] as { id: string }[]).filter(({ id }) => events.some((e) => e.id === id));
  expect(shown).toHaveLength(40);
  const line = (await auditor.get(`${url}/v1/log/key`, null)).text.trim();
  for (const one of events.slice(0, 5)) {
    const { status, body } = await auditor.get(`${url}/v1/events/${one.id}/receipt`);
    expect(status).toBe(200);
    const receipt = body as unknown as Receipt & { event: object; salt: string; origin: string; key: string };
    expect(receipt.key).toBe(line);
    const { leaf } = verifyReceipt(receipt, { origin: receipt.origin, verifiers: [parseVerifier(line)] });
    const commitment = commitmentOf(Buffer.from(receipt.salt, 'base64url'), canonicalBytes(one));
    expect(JSON.parse(leaf.toString())).toMatchObject({
      id: one.id,
      producer: 'crypto-store',
      commitment: Buffer.from(commitment).toString('base64url'),
    });
    expect(receipt.event).toEqual(JSON.parse(JSON.stringify(one)));
  }
});

test('the producer forgets what the log provably holds, and nothing else (R21)', async () => {
  await commit(Array.from({ length: 10 }, () => event()));
  const left = () =>
    producer.postgres.query<{ n: string }>(
      'select count(*) as n from (select from audit_groups union all select from audit_batches) as held',
    );
  await until(async () => (await left())[0]?.n === '0', 'the outbox is empty');
  const [witness] = await producer.postgres.query<{ checkpoint: string; seq: string }>('select * from audit_witness');
  expect(Number(witness?.seq)).toBe((await heldIds(world)).length);
});

test("reading the log is an event in it, through the log's own outbox", async () => {
  await auditor.get(`${url}/v1/events?limit=1`);
  await until(async () => {
    const { body } = await auditor.get(`${url}/v1/events?action=audit.read`);
    return (body['events'] as unknown[]).length > 0;
  }, 'audit.read is in the log');
});

test('pages follow one another without a gap or a repetition', async () => {
  const seen: string[] = [];
  let after = '';
  do {
    const { body } = await auditor.get(`${url}/v1/events?limit=7&action=record.read${after}`);
    seen.push(...(body['events'] as { id: string }[]).map(({ id }) => id));
    after = body['next'] === undefined ? '' : `&after=${String(body['next'])}`;
  } while (after !== '');
  const ids = await heldIds(world);
  expect(seen).toEqual(ids);
  expect((await auditor.get(`${url}/v1/events?after=x`)).status).toBe(400);
});

test("another tenant's auditor sees neither the events nor their receipts", async () => {
  const [id] = await heldIds(world);
  const other = { tenant: 'globex' } as const;
  expect((await auditor.get(`${url}/v1/events?action=record.read`, other)).body['events']).toEqual([]);
  expect((await auditor.get(`${url}/v1/events/${id}/receipt`, other)).status).toBe(404);
});

test('the log is read with scope and role only', async () => {
  expect((await auditor.get(`${url}/v1/events`, null)).status).toBe(401);
  expect((await auditor.get(`${url}/v1/events`, { roles: ['user'] })).status).toBe(403);
  expect((await auditor.get(`${url}/v1/events`, { scopes: ['records:read'] })).status).toBe(403);
});

test('a watermark is told to its producer only', async () => {
  expect((await auditor.get(`${url}/v1/watermarks/crypto-store`, null)).status).toBe(403);
  const other = await world.caller('key-proxy');
  expect((await other.get(`${url}/v1/watermarks/crypto-store`, null)).status).toBe(403);
  expect((await other.get(`${url}/v1/watermarks/key-proxy`, null)).body).toMatchObject({
    producer: 'key-proxy',
    seq: 0,
  });
});

test('two checkpoints are consistent by the proof that the log gives (R27)', async () => {
  const line = (await auditor.get(`${url}/v1/log/key`, null)).text.trim();
  const verifier = parseVerifier(line);
  const read = async () =>
    openCheckpoint((await auditor.get(`${url}/v1/log/checkpoint`, null)).text, verifier.name, [verifier]);
  const first = await read();
  const more = Array.from({ length: 5 }, () => event());
  await commit(more);
  await until(() => held(more.map(({ id }) => id)), 'the events are in the log');
  await until(async () => (await read()).size > first.size, 'a newer checkpoint');
  const second = await read();
  const { status, body } = await auditor.get(`${url}/v1/log/proofs/consistency?from=${first.size}&to=${second.size}`);
  expect(status).toBe(200);
  const proof = (body['proof'] as string[]).map((hash) => Buffer.from(hash, 'base64'));
  expect(verifyConsistency({ first, second, proof })).toBe(true);
  expect((await auditor.get(`${url}/v1/log/proofs/consistency?from=0&to=999999`)).status).toBe(422);
  expect((await auditor.get(`${url}/v1/log/proofs/inclusion?index=3&size=2`)).status).toBe(422);
});

test('an action of no schema is appended as an opaque entry, and its neighbours are shown (R25)', async () => {
  const [before, odd, after] = [event(), event(), event()];
  await producer.audit.commit(before);
  const strange = Buffer.from(canonicalBytes({ ...odd, action: 'record.teleported' }));
  await producer.postgres.query('insert into audit_groups (id, count, body) values ($1, 1, $2)', [
    odd.id,
    packEntries([{ id: odd.id, action: 'record.teleported', salt: Buffer.alloc(32, 5), event: strange }]),
  ]);
  await producer.audit.commit(after);
  await until(() => held([before.id, odd.id, after.id]), 'all three are in the log');
  const [row] = await world.log.query<{ reason: string; bytes: number }>(
    'select reason, bytes from log_opaque where event_id = $1',
    [odd.id],
  );
  expect(row).toEqual({ reason: 'not_an_event', bytes: strange.length });
  expect((await auditor.get(`${url}/v1/events/${after.id}/receipt`)).status).toBe(200);
  expect((await auditor.get(`${url}/v1/events/${odd.id}/receipt`)).status).toBe(404);
});
