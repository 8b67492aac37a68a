import { BY_TENANT, removeRows, ROWS_PER_PAGE, type Removed } from '@postern/branch-keys/destruction';
import { queryIn } from '@postern/postgres';
import { type Logger, Problem } from '@postern/runtime';
import type { Transaction } from 'kysely';
import type { Schema } from '../db/schema.ts';
import { finishRevocation, type RevokeGrant } from '../grants/revoke-grant.ts';

export type EndTenant = RevokeGrant & { logger: Logger };

/**
 * Of a tenant whose destruction has begun (R33), nothing is minted or refreshed any more, and no consent goes on. Its grants are taken
 * first, in the order of their ids, as everybody takes them, and its consents after them.
 */
export async function denyGrants(tx: Transaction<Schema>, { now }: Pick<EndTenant, 'now'>, tenant: string) {
  for (const table of ['grants', 'consents'] as const)
    await tx.selectFrom(table).select('id').where('tenant', '=', tenant).orderBy('id').forUpdate().execute();
  await tx
    .updateTable('grants')
    .set({ state: 'revoking', updated_at: now() })
    .where('tenant', '=', tenant)
    .where('state', '<>', 'revoking')
    .execute();
  await tx.deleteFrom('consents').where('tenant', '=', tenant).execute();
}

const PAGE = 20;

/**
 * Revokes at their provider the grants that the worker's rounds have not come to, while their tokens still open. Where a
 * whole page of them fails, the provider is given up: the rows go all the same, and the count says how many of their
 * tokens live on there.
 */
export async function revokeAtProviders(deps: EndTenant, tenant: string): Promise<Removed> {
  const counted = { 'grants revoked at the provider': 0, 'grants not revoked at the provider': 0 };
  for (let after = '00000000-0000-0000-0000-000000000000'; ;) {
    const page = await deps.db
      .selectFrom('grants')
      .select('id')
      .where('tenant', '=', tenant)
      .where('id', '>', after)
      .orderBy('id')
      .limit(PAGE)
      .execute();
    let failed = 0;
    for (const { id } of page) {
      try {
        await finishRevocation(deps, id);
        counted['grants revoked at the provider'] += 1;
      } catch (err) {
        const code = err instanceof Problem ? err.code : undefined;
        deps.logger.warn({ err, code, id }, 'a grant of a tenant that ended was not revoked at the provider');
        failed += 1;
      }
    }
    after = page.at(-1)?.id ?? after;
    counted['grants not revoked at the provider'] += failed;
    if (page.length < PAGE) return counted;
    if (failed === page.length) {
      counted['grants not revoked at the provider'] += await grantsAfter(deps, tenant, after);
      return counted;
    }
  }
}

async function grantsAfter({ db }: EndTenant, tenant: string, after: string): Promise<number> {
  const { count } = await db
    .selectFrom('grants')
    .select(({ fn }) => fn.countAll().as('count'))
    .where('tenant', '=', tenant)
    .where('id', '>', after)
    .executeTakeFirstOrThrow();
  return Number(count);
}

/**
 * A page of everything that this service holds of the tenant; handles, tokens and the journal go with their grants. These are taken
 * before what hangs on them: whoever ends a consent holds its grant.
 */
export async function removeGrants(tx: Transaction<Schema>, tenant: string): Promise<Removed> {
  await tx
    .selectFrom('grants')
    .select('id')
    .where('tenant', '=', tenant)
    .orderBy('id')
    .limit(ROWS_PER_PAGE)
    .forUpdate()
    .execute();
  return removeRows(queryIn(tx), tenant, [
    [
      'handle_uses',
      't.handle_id in (select h.id from handles h join grants g on g.id = h.grant_id where g.tenant = $1)',
    ],
    ['consents', BY_TENANT, 'id'],
    ['grants', BY_TENANT, 'id'],
    ['grant_counts', BY_TENANT],
    ['tenant_pauses', BY_TENANT],
    ['providers', BY_TENANT],
    ['provider_keys', BY_TENANT],
    ['revocation_plans', BY_TENANT],
    ['background_jobs', BY_TENANT],
  ]);
}
