import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import type { Sealer } from '@postern/branch-keys';
import type { Query } from '@postern/postgres';
import { endorseKey, openCheckpoint, parseVerifier, verifierLine, type NoteSigner } from '@postern/transparency';

/** The keys of the log: the one that signs checkpoints, and the public half of every one that ever did. */
export type CheckpointKey = {
  origin: string;
  signer: NoteSigner;
  /** The signer's public half in one line (C2SP signed-note). */
  verifier: string;
  /** All verifier lines, the newest first: what was signed before a rotation verifies under those. */
  verifiers: readonly string[];
  /** The same with the word of the key before each: a note that names it; null for the first. */
  keys: readonly FollowedKey[];
};

/** A key and how to come to it from the one before. */
export type FollowedKey = { verifier: string; generation: number; endorsement: string | null };

/** The log's keys as they are now: those of the last look, and how to look again. */
export type LogKeys = CheckpointKey & {
  /** Reads them again where another replica, or this one, has made the next. */
  refresh(): Promise<void>;
  /**
   * Makes the next key in the transaction of `query`; call `refresh` once that is committed.
   *
   * @returns null when another replica was faster.
   */
  rotate(query: Query): Promise<FollowedKey | null>;
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

/** The log's keys, of which each replica takes a new one when it next signs or shows one: see `refresh`. */
export async function followCheckpointKey(
  query: Query,
  sealer: Pick<Sealer, 'seal' | 'open'>,
  options: { origin: string; fips: boolean },
): Promise<LogKeys> {
  let held = await openCheckpointKey(query, sealer, options);
  return {
    origin: options.origin,
    get signer() {
      return held.signer;
    },
    get verifier() {
      return held.verifier;
    },
    get verifiers() {
      return held.verifiers;
    },
    get keys() {
      return held.keys;
    },
    async refresh() {
      const [newest] = await query<{ generation: number }>(
        'select max(generation) as generation from log_keys where name = $1',
        [options.origin],
      );
      if (newest && newest.generation > held.keys.length) held = await openCheckpointKey(query, sealer, options);
    },
    async rotate(within) {
      const made = await rotateCheckpointKey(within, sealer, options);
      if (!made) return null;
      const [next] = await publishedKeys(within, options.origin);
      return next ? { verifier: next.verifier, generation: next.generation, endorsement: next.endorsement } : null;
    },
  };
}

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
    keys: rows.map(({ verifier, generation, endorsement }) => ({ verifier, generation, endorsement })),
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
 * Makes the next key, endorsed by the one before it. Replicas sign with it from their next signature on; what the old one signed
 * stays good.
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

/** The key that a checkpoint verifies under: after a rotation the newest one may still be the old key's. */
export function signerOf(note: string | undefined, { keys, origin }: CheckpointKey): FollowedKey {
  const opens = ({ verifier }: FollowedKey) => {
    try {
      return note !== undefined && openCheckpoint(note, origin, [parseVerifier(verifier)]) !== null;
    } catch {
      return false;
    }
  };
  return keys.find(opens) ?? keys[0]!;
}
