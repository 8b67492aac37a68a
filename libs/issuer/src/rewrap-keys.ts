import type { Query, Seal } from './ports.ts';
import { contextOfKey } from './signing-keys.ts';

type Row = { kind: string; kid: string; sealed_private: Buffer };

/**
 * Seals the private keys anew that stand under an older key of whoever seals them (R31): a fresh message, nothing carried
 * over but the key and its place. A row changes only where its bytes are what was read.
 * @param isOld whether a sealed message is to be replaced.
 * @returns how many were.
 */
export async function rewrapSigningKeys(
  { query, seal }: { query: Query; seal: Seal },
  isOld: (sealed: Uint8Array) => boolean,
): Promise<number> {
  const rows = await query<Row>('select kind, kid, sealed_private from issuer_keys order by kind, number');
  let rewrapped = 0;
  for (const { kind, kid, sealed_private: was } of rows.filter((row) => isOld(row.sealed_private))) {
    const context = contextOfKey(kind, kid);
    const key = Buffer.from(await seal.open(was, context));
    const sealed = Buffer.from(await seal.seal(key, context));
    key.fill(0);
    const changed = await query(
      'update issuer_keys set sealed_private = $2 where kid = $1 and sealed_private = $3 returning 1',
      [kid, sealed, was],
    );
    rewrapped += changed.length;
  }
  return rewrapped;
}
