import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import type { Sealer } from '@postern/branch-keys';
import type { Query } from '@postern/postgres';
import { endorseKey, verifierLine, type NoteSigner } from '@postern/transparency';

/** The keys of the log: the one that signs checkpoints, and the public half of every one that ever did. */
export type CheckpointKey = {
  origin: string;
  signer: NoteSigner;
  /** The signer's public half in one line (C2SP signed-note). */
  verifier: string;
  /** All verifier lines, the newest first: what was signed before a rotation verifies under those. */
  verifiers: readonly string[];
  /** The same with the word of the key before each: a note that names it; null for the first. */
  keys: readonly { verifier: string; endorsement: string | null }[];
};

/** How a key came to be the log's: its line, and the word of the one before it. */
export type PublishedKey = { verifier: string; generation: number; since: string; endorsement: string | null };

type Row = {
  id: string;
  sealed: Buffer;
  verifier: string;
  generation: number;
  endorsement: string | null;
  created_at: Date;
};

const SELECT = 'select id, sealed, verifier, generation, endorsement, created_at from log_keys where name = $1';

/**
 * The log's keys, sealed in the database; the first is made at the first start. Of several replicas that start at once one
 * makes it.
 *
 * @param origin the log's name: the first line of every checkpoint (C2SP tlog-checkpoint).
 * @param fips ECDSA P-256 in place of Ed25519.
 */
export async function openCheckpointKey(
  query: Query,
  sealer: Pick<Sealer, 'seal' | 'open'>,
  { origin, fips }: { origin: string; fips: boolean },
): Promise<CheckpointKey> {
  const read = () => query<Row>(`${SELECT} order by generation desc`, [origin]);
  let rows = await read();
  if (rows.length === 0) {
    await insertKey(query, sealer, { origin, fips, generation: 1, endorse: () => null });
    rows = await read();
  }
  const [newest] = rows;
  if (!newest) throw new Error('the log has no key');
  const opened = await Promise.all(rows.map(async (row) => ({ row, key: await openRow(sealer, origin, row) })));
  return {
    origin,
    signer: { name: origin, key: opened[0]!.key },
    verifier: newest.verifier,
    verifiers: rows.map(({ verifier }) => verifier),
    keys: rows.map(({ verifier, endorsement }) => ({ verifier, endorsement })),
  };
}

async function openRow(sealer: Pick<Sealer, 'open'>, origin: string, row: Row) {
  const der = await sealer.open(row.sealed, { 'key-id': row.id });
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  // A row in which someone put another public key must not be believed by anyone who reads it from us.
  const verifier = verifierLine({ name: origin, key: createPublicKey(key) });
  if (verifier !== row.verifier) throw new Error("the log's public key was altered");
  return key;
}

/**
 * Makes the next key, endorsed by the one before it. Replicas sign with it once they have read it; until then they sign with
 * the old one, whose checkpoints stay good.
 *
 * @returns false when another replica was faster.
 */
export async function rotateCheckpointKey(
  query: Query,
  sealer: Pick<Sealer, 'seal' | 'open'>,
  { origin, fips }: { origin: string; fips: boolean },
): Promise<boolean> {
  const current = await openCheckpointKey(query, sealer, { origin, fips });
  const generation = current.verifiers.length + 1;
  const endorse = (verifier: string) => endorseKey(verifier, current.signer);
  return insertKey(query, sealer, { origin, fips, generation, endorse });
}

async function insertKey(
  query: Query,
  sealer: Pick<Sealer, 'seal'>,
  made: { origin: string; fips: boolean; generation: number; endorse: (verifier: string) => string | null },
): Promise<boolean> {
  const { origin, fips, generation, endorse } = made;
  const id = randomUUID();
  const pair = fips ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  const sealed = await sealer.seal(pair.privateKey.export({ format: 'der', type: 'pkcs8' }), { 'key-id': id });
  const verifier = verifierLine({ name: origin, key: pair.publicKey });
  const rows = await query(
    `insert into log_keys (id, name, verifier, sealed, generation, endorsement) values ($1, $2, $3, $4, $5, $6)
     on conflict do nothing returning id`,
    [id, origin, verifier, sealed, generation, endorse(verifier)],
  );
  return rows.length === 1;
}

/** Every key of the log, the newest first. */
export async function publishedKeys(query: Query, origin: string): Promise<PublishedKey[]> {
  const rows = await query<Row>(`${SELECT} order by generation desc`, [origin]);
  return rows.map(({ verifier, generation, endorsement, created_at: since }) => ({
    verifier,
    generation,
    since: since.toISOString(),
    endorsement,
  }));
}
