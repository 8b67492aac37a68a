import { createHash, createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { CompactSign } from 'jose';
import {
  BATCH_TYPE,
  canonicalBytes,
  chainHash,
  commitmentOf,
  entryLeaf,
  NO_PREVIOUS,
  packContent,
  type AuditBatch,
} from '@postern/audit';
import { event, openWorld } from './world.ts';

export type Signer = { cert: string; key: string };
export type Forgery = {
  header?: Record<string, unknown>;
  payload?: unknown;
  manifest?: Record<string, unknown>;
  content?: Buffer;
};
export type SentBatches = Awaited<ReturnType<typeof openSentBatches>>;

/** The log, and the bus on which a producer's jobs come to it: honest batches and others. */
export async function openSentBatches() {
  const world = await openWorld();
  const { url } = await world.sink();
  const producer = await world.producer();
  let at: { seq: number; hash: string };
  return {
    world,
    url,
    producer,
    own: (): Signer => producer.tls.current(),
    send: (batch: unknown) => producer.bus.queue('audit').add({ v: 2, batch }),
    state: () => world.log.query('select size, root from log_head'),
    quarantined: async () =>
      (await world.log.query<{ reason: string }>('select reason from quarantine order by id')).map(
        ({ reason }) => reason,
      ),
    /** Reads where the log stands with the producer; `next` goes on from there. */
    async stand() {
      const [row] = await world.log.query<{ seq: string; hash: Buffer }>(
        `select seq, hash from log_watermarks where producer = 'crypto-store'`,
      );
      at = row
        ? { seq: Number(row.seq), hash: row.hash.toString('base64url') }
        : { seq: 0, hash: Buffer.from(NO_PREVIOUS).toString('base64url') };
      return at;
    },
    next: (over: Partial<AuditBatch> = {}): AuditBatch => ({
      producer: 'crypto-store',
      epoch: 1,
      first: at.seq + 1,
      previous: at.hash,
      entries: [entry(), entry()],
      ...over,
    }),
    close: () => world.close(),
  };
}

export const entry = () => {
  const one = event();
  return {
    id: one.id,
    action: one.action,
    salt: randomBytes(32),
    event: Buffer.from(canonicalBytes(one)),
  };
};
export const hashOf = (batch: AuditBatch): string => {
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
export async function signed(batch: AuditBatch, by: Signer, over: Forgery = {}): Promise<string> {
  const { entries, ...place } = batch;
  const { content, bytes } = packContent(entries);
  const digest = createHash('sha256').update(content).digest('base64url');
  const manifest = { v: 2, ...place, count: entries.length, content: digest, bytes, ...over.manifest };
  const jws = await new CompactSign(Buffer.from(JSON.stringify(over.payload ?? manifest)))
    .setProtectedHeader({ alg: 'ES256', typ: BATCH_TYPE, x5c: ders(by.cert), ...over.header })
    .sign(createPrivateKey(by.key));
  return `${jws}~${(over.content ?? content).toString('base64url')}`;
}
