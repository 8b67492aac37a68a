import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import type { Sealer } from '@postern/branch-keys';
import type { Query } from '@postern/postgres';
import { verifierLine, type NoteSigner } from '@postern/transparency';

/** The key that signs checkpoints, and its public half in one line. */
export type CheckpointKey = { origin: string; signer: NoteSigner; verifier: string };

/**
 * The log's key, sealed in the database; made at the first start. Of several replicas that start at once one makes it.
 *
 * @param origin the log's name: the first line of every checkpoint (C2SP tlog-checkpoint).
 * @param fips ECDSA P-256 in place of Ed25519.
 */
export async function openCheckpointKey(
  query: Query,
  sealer: Pick<Sealer, 'seal' | 'open'>,
  { origin, fips }: { origin: string; fips: boolean },
): Promise<CheckpointKey> {
  const read = () =>
    query<{ id: string; sealed: Buffer; verifier: string }>(
      'select id, sealed, verifier from log_keys where name = $1',
      [origin],
    );
  let [row] = await read();
  if (!row) {
    const id = randomUUID();
    const pair = fips ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
    const sealed = await sealer.seal(pair.privateKey.export({ format: 'der', type: 'pkcs8' }), { 'key-id': id });
    const verifier = verifierLine({ name: origin, key: pair.publicKey });
    await query('insert into log_keys (id, name, verifier, sealed) values ($1, $2, $3, $4) on conflict do nothing', [
      id,
      origin,
      verifier,
      sealed,
    ]);
    [row] = await read();
  }
  if (!row) throw new Error('the log has no key');
  const der = await sealer.open(row.sealed, { 'key-id': row.id });
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  // A row in which someone put another public key must not be believed by anyone who reads it from us.
  const verifier = verifierLine({ name: origin, key: createPublicKey(key) });
  if (verifier !== row.verifier) throw new Error("the log's public key was altered");
  return { origin, signer: { name: origin, key }, verifier };
}
