import { createHash, createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { zstdCompressSync } from 'node:zlib';
import { CompactSign } from 'jose';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import {
  BATCH_TYPE,
  canonicalBytes,
  chainHash,
  commitmentOf,
  entryLeaf,
  NO_PREVIOUS,
  packContent,
  type AuditBatch,
  type AuditEvent,
} from '@postern/audit';
import { busCa, issueSelfSigned, type MintOptions } from '@postern/testing';
import { request } from 'undici';
import { createRegistry, silentLogger, systemNow } from '@postern/runtime';
import { readConfig } from '../src/config.ts';
import { createConsumer } from '../src/intake/consume.ts';
import { event, heldIds, openWorld, until, type World } from './world.ts';

let world: World;
let url: string;
let producer: Awaited<ReturnType<World['producer']>>;

beforeAll(async () => {
  world = await openWorld();
  ({ url } = await world.sink());
  producer = await world.producer();
});
afterAll(async () => {
  await world?.close();
});

type Signer = { cert: string; key: string };
const entry = () => {
  const one = event();
  return {
    id: one.id,
    action: one.action,
    salt: randomBytes(32),
    event: Buffer.from(canonicalBytes(one)),
  };
};
const hashOf = (batch: AuditBatch): string => {
  let previous: Uint8Array = Buffer.from(batch.previous, 'base64url');
  batch.entries.forEach((one, i) => {
    const commitment = commitmentOf(one.salt, one.event);
    const { producer: name, epoch, first } = batch;
    previous = chainHash(entryLeaf({ producer: name, epoch, seq: first + i, previous }, { ...one, commitment }));
  });
  return Buffer.from(previous).toString('base64url');
};
const ders = (pem: string): string[] =>
  [...pem.matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)].map(([one]) =>
    new X509Certificate(one).raw.toString('base64'),
  );
/** A batch as a relay sends it, made with another library than ours. */
async function signed(batch: AuditBatch, by: Signer, over: Forgery = {}): Promise<string> {
  const { entries, ...place } = batch;
  const { content, bytes } = packContent(entries);
  const digest = createHash('sha256').update(content).digest('base64url');
  const manifest = { v: 2, ...place, count: entries.length, content: digest, bytes, ...over.manifest };
  const jws = await new CompactSign(Buffer.from(JSON.stringify(over.payload ?? manifest)))
    .setProtectedHeader({ alg: 'ES256', typ: BATCH_TYPE, x5c: ders(by.cert), ...over.header })
    .sign(createPrivateKey(by.key));
  return `${jws}~${(over.content ?? content).toString('base64url')}`;
}
type Forgery = {
  header?: Record<string, unknown>;
  payload?: unknown;
  manifest?: Record<string, unknown>;
  content?: Buffer;
};
/** A content that is signed as it is. */
const inflated = (content: Buffer): Forgery => ({
  content,
  manifest: { content: createHash('sha256').update(content).digest('base64url'), bytes: 1_048_576 },
});
const own = (): Signer => producer.tls.current();
const certificateOf = async (workload: string): Promise<Signer> => {
  const { paths } = await world.server.authority.issue(workload);
  return { cert: readFileSync(paths.cert, 'utf8'), key: readFileSync(paths.key, 'utf8') };
};
const send = (batch: unknown) => producer.bus.queue('audit').add({ v: 2, batch });
const state = () => world.log.query('select size, root from log_head');
const quarantined = async () =>
  (await world.log.query<{ reason: string }>('select reason from quarantine order by id')).map(({ reason }) => reason);

/** Where the log stands with the producer. */
let at: { seq: number; hash: string };
const next = (over: Partial<AuditBatch> = {}): AuditBatch => ({
  producer: 'crypto-store',
  epoch: 1,
  first: at.seq + 1,
  previous: at.hash,
  entries: [entry(), entry()],
  ...over,
});

beforeEach(async () => {
  const [row] = await world.log.query<{ seq: string; hash: Buffer }>(
    `select seq, hash from log_watermarks where producer = 'crypto-store'`,
  );
  at = row
    ? { seq: Number(row.seq), hash: row.hash.toString('base64url') }
    : { seq: 0, hash: Buffer.from(NO_PREVIOUS).toString('base64url') };
});

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

test('a batch that the log holds already changes nothing (R22)', async () => {
  const batch = next();
  const jws = await signed(batch, own());
  await send(jws);
  await until(async () => (await heldIds(world)).includes(batch.entries[0]!.id), 'the batch is in the log');
  const before = await state();
  await send(jws);
  const later = next({ first: at.seq + 3, previous: hashOf(batch), entries: [entry()] });
  await send(await signed(later, own()));
  await until(async () => (await heldIds(world)).includes(later.entries[0]!.id), 'the later batch is in the log');
  // One entry and its batch's receipt: the repetition added nothing.
  expect(Number(((await state()) as { size: string }[])[0]?.size)).toBe(
    Number((before as { size: string }[])[0]?.size) + 2,
  );
});

test('an overlapping batch adds only what is new (R22)', async () => {
  const first = next();
  await send(await signed(first, own()));
  const wider = { ...first, entries: [...first.entries, entry()] };
  await send(await signed(wider, own()));
  await until(async () => (await heldIds(world)).includes(wider.entries[2]!.id), 'the third entry is in the log');
  const ids = await heldIds(world);
  expect(new Set(ids).size).toBe(ids.length);
});

test('an alarm that could not be recorded is raised again when its job comes again', async () => {
  const { trust } = readConfig(world.env);
  const told: string[] = [];
  const consume = createConsumer({
    query: world.log.query,
    append: async () => ({ result: 'fork', at: 7 }),
    tls: producer.tls,
    workloads: trust,
    audit: {
      async commit({ action }) {
        told.push(action);
        if (told.length === 1) throw new Error('the log does not take it');
        return true;
      },
    },
    logger: silentLogger(),
    metrics: createRegistry('audit-sink'),
    now: systemNow,
  });
  const job = { v: 2, batch: await signed(next({ entries: [entry()] }), own()) };
  await expect(consume(job, 'crypto-store')).rejects.toThrow('the log does not take it');
  for (let turn = 0; turn < 2; turn += 1) await expect(consume(job, 'crypto-store')).rejects.toThrow('sequence_fork');
  expect(told).toEqual(['alarm.raised', 'alarm.raised']);
});

test('the same number with another hash is an alarm, never a duplicate (R22)', async () => {
  const before = await state();
  const fork = next({ first: at.seq, entries: [entry()] });
  await send(await signed(fork, own()));
  const raised = () =>
    world.log.query(`select 1 from audit_outbox where convert_from(canonical, 'UTF8') like '%sequence_fork%'
      union all select 1 from log_every_event where action = 'alarm.raised'`);
  await until(async () => (await raised()).length > 0, 'the alarm is recorded');
  expect((await heldIds(world)).includes(fork.entries[0]!.id)).toBe(false);
  expect(before).toBeDefined();
});

test('a gap is held until what is missing comes (R22)', async () => {
  const first = next();
  const second = next({ first: at.seq + 3, previous: hashOf(first) });
  const third = next({ first: at.seq + 5, previous: hashOf(second) });
  await send(await signed(third, own()));
  await send(await signed(second, own()));
  const waiting = () => world.log.query('select 1 from held_batches');
  await until(async () => (await waiting()).length === 2, 'both are held');
  expect((await heldIds(world)).includes(second.entries[0]!.id)).toBe(false);
  await send(await signed(first, own()));
  await until(async () => (await heldIds(world)).includes(third.entries[1]!.id), 'all three are in the log');
  expect((await heldIds(world)).slice(-6)).toEqual(
    [first, second, third].flatMap(({ entries }) => entries.map(({ id }) => id)),
  );
  expect(await waiting()).toEqual([]);
});

test('a producer that was compromised is closed at a logged point: nothing more under its certificate or in its epoch, and under a new one it goes on (R26)', async () => {
  const name = 'auth-manager';
  const service = await world.producer(name);
  await service.relay(url);
  const did = (count: number) => Array.from({ length: count }, () => event({ actor: { workload: name } }));
  const commit = (events: readonly AuditEvent[]) => Promise.all(events.map((one) => service.audit.commit(one)));
  const ids = (events: readonly { id: string }[]) => events.map(({ id }) => id).sort();
  const held = async () => ids((await heldIds(world, name)).map((id) => ({ id })));
  const before = did(3);
  await commit(before);
  await until(async () => (await heldIds(world, name)).length === 3, 'its events are in the log');
  const stolen: Signer = service.tls.current();

  const operator = await world.caller();
  const close = async (body: object, as: Partial<MintOptions> = {}) => {
    const token = await operator.token({ scopes: ['log:operate'], roles: ['operator'], ...as });
    const answer = await request(`${url}/v1/log/producers/${name}/close`, {
      method: 'POST',
      dispatcher: operator.dispatcher,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: answer.statusCode, body: (await answer.body.json()) as Record<string, unknown> };
  };
  expect(await close({ reason: 'compromised' }, { roles: ['admin'] })).toMatchObject({
    body: { code: 'role_missing' },
  });
  const future = { reason: 'compromised', certificates_before: '2999-01-01T00:00:00Z' };
  expect(await close(future)).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
  expect(await close({ reason: 'Because I say so' })).toMatchObject({ status: 400 });
  const closed = await close({ reason: 'compromised' });
  expect(closed).toMatchObject({
    status: 200,
    body: { epoch: 1, seq: 3, certificates: [{ thumbprint: thumbprintOf(stolen.cert), entries: 3 }] },
  });

  // Whoever has the old certificate: in the old epoch, in a new one, too early; and its own relay, until it has another.
  const [mark] = await world.log.query<{ hash: Buffer }>('select hash from log_watermarks where producer = $1', [name]);
  const batch = { producer: name, epoch: 1, first: 4, previous: mark!.hash.toString('base64url'), entries: [entry()] };
  const refused = async (over: Partial<AuditBatch>, by: Signer, reason: string) => {
    const count = async () => (await quarantined()).filter((one) => one === reason).length;
    const already = await count();
    await service.bus.queue('audit').add({ v: 2, batch: await signed({ ...batch, ...over }, by) });
    await until(async () => (await count()) > already, reason);
  };
  await refused({}, stolen, 'certificate_withdrawn');
  await refused({ epoch: 2, first: 1 }, stolen, 'certificate_withdrawn');
  await refused({ first: 9 }, stolen, 'certificate_withdrawn');
  const after = did(2);
  await commit(after);
  // A certificate's time is in seconds, and must begin after the closing.
  await sleep(1_100);
  const notBefore = new Date();
  const fresh = await world.server.authority.issue(name, { notBefore });
  await refused({}, fresh, 'epoch_closed');
  await refused({ first: 9 }, fresh, 'epoch_closed');
  expect(await held()).toEqual(ids(before));
  // The relay has one only now: in its new epoch, what else comes of the old one is a fork.
  await world.server.authority.issue(name, { into: dirname(service.paths.cert), notBefore });
  await until(async () => (await heldIds(world, name)).length === 5, 'it goes on in a new epoch');
  expect(await held()).toEqual(ids([...before, ...after]));

  const auditor = await world.caller();
  const listed = (await auditor.get(`${url}/v1/events?workload=${name}`)).body as { events: AuditEvent[] };
  expect(ids(listed.events)).toEqual(ids([...before, ...after]));
  const { body } = await auditor.get(`${url}/v1/log/producers`);
  expect(body['producers']).toContainEqual(
    expect.objectContaining({
      producer: name,
      held: [
        { epoch: 1, first: 1, last: 3 },
        { epoch: 2, first: 1, last: 3 },
      ],
      closed: expect.objectContaining({ epoch: 1, seq: 3 }),
      gaps: [],
    }),
  );
  const logged = () => auditor.get(`${url}/v1/events?action=producer.closed&outcome=success`);
  await until(
    async () => ((await logged()).body as { events: unknown[] }).events.length === 1,
    'the closing is in the log',
  );
  expect((await logged()).body).toMatchObject({
    events: [{ reason: 'compromised', resource: { type: 'producer', id: name }, details: { epoch: 1, seq: 3 } }],
  });
});

test('a flood of forged jobs leaves a bounded trace (R25)', async () => {
  await Promise.all(Array.from({ length: 200 }, (_, i) => send(`forged ${i}`)));
  const last = next();
  await send(await signed(last, own()));
  await until(async () => (await heldIds(world)).includes(last.entries[0]!.id), 'the honest batch is in the log');
  expect((await quarantined()).length).toBeLessThanOrEqual(120);
});

const thumbprintOf = (pem: string): string =>
  createHash('sha256').update(new X509Certificate(pem).raw).digest('base64url');
