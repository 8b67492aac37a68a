import { type Kysely, type Selectable } from 'kysely';
import { type BranchKeys } from '@postern/branch-keys';
import { type Audit } from '@postern/outbox';
import { type Now, problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { type Place, type Providers } from '../providers/open-providers.ts';

export type MoveDeps = {
  db: Kysely<Schema>;
  providers: Providers;
  branchKeys: BranchKeys;
  audit: Pick<Audit, 'within' | 'commit'>;
  service: string;
  now: Now;
};

/** From where to where the secrets of a tenant move. */
export type Move = { id: string; tenant: string; from: Place; to: Place; sealedToken: Buffer | null };

export type MoveItem = Selectable<Schema['secret_move_items']>;

/** @throws Problem `move_not_found` */
export async function findMove(db: Kysely<Schema>, tenant: string, id: string): Promise<Move> {
  const row = await db
    .selectFrom('secret_moves')
    .selectAll()
    .where((at) => at.and({ id, tenant }))
    .executeTakeFirst();
  if (!row) throw problem('move_not_found');
  return {
    id,
    tenant,
    from: { tenant, kind: row.from_kind, configuration: row.from_configuration },
    to: { tenant, kind: row.to_kind, configuration: row.to_configuration },
    sealedToken: row.sealed_token,
  };
}
