import { sql, type Transaction } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import type { TokenName } from '../revocations/revoke-descendants.ts';

/** The tenant of a token that was minted or exchanged here; `null` for one that was never seen. */
export async function tenantOf(
  tx: Transaction<Schema>,
  own: { issuer: string },
  { issuer, tokenId }: TokenName,
): Promise<string | null> {
  // By the index: what was minted here is named by a UUID.
  const id = issuer === own.issuer && z.uuid().safeParse(tokenId).success ? tokenId : null;
  const { rows } = await sql<{ tenant: string }>`
    select tenant from exchanges where parent = ${tokenId} and parent_issuer = ${issuer}
    union all
    select tenant from exchanges where id = ${id}::uuid
    limit 1`.execute(tx);
  return rows[0]?.tenant ?? null;
}
