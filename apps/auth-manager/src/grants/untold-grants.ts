import { type Logger, type Now, Problem } from '@postern/runtime';
import { type Expression, type ExpressionBuilder, type Kysely, sql, type SqlBool } from 'kysely';
import type { Schema } from '../db/schema.ts';

/** A grant that is closed here and not yet revoked at its provider. */
export type UntoldGrant = { id: string; tenant: string; provider: string };

/** Those of one tenant at one provider that are told in one round. */
const AT_ONCE = 20;
/** Tenants at providers whose grants are told side by side. */
const LANES = 4;

/** Closed grants, the oldest of each tenant at each provider, so that none of them is behind another's provider. */
export const untoldGrants = (
  db: Kysely<Schema>,
  which: (row: ExpressionBuilder<Schema, 'grants'>) => Expression<SqlBool>,
): Promise<UntoldGrant[]> =>
  db
    .selectFrom((from) =>
      from
        .selectFrom('grants')
        .select(['id', 'tenant', 'provider'])
        .select(sql<string>`row_number() over (partition by tenant, provider order by updated_at)`.as('place'))
        .where(which)
        .as('untold'),
    )
    .select(['id', 'tenant', 'provider'])
    .where('place', '<=', String(AT_ONCE))
    .orderBy('place')
    .execute();

/** A provider that gives no answer, or has no turn left: it is asked nothing more now. */
const isAway = (error: unknown): boolean =>
  error instanceof Problem && (error.code === 'provider_unavailable' || error.code === 'grant_busy');

export type TellProviders = { db: Kysely<Schema>; logger: Logger; now: Now };

/**
 * Tells each grant's provider by `tell`: those of one tenant at one provider in turn, until that gives no answer. A grant that
 * could not be told comes last in the next round. `away` holds, over several calls, who gives no answer.
 * @returns how many are left untold.
 */
export async function tellProviders(
  { db, logger, now }: TellProviders,
  grants: readonly UntoldGrant[],
  tell: (grant: UntoldGrant) => Promise<void>,
  away = new Set<string>(),
): Promise<number> {
  const lines = Map.groupBy(grants, ({ tenant, provider }) => `${tenant}\n${provider}`);
  let left = 0;

  async function tellLine(name: string, line: readonly UntoldGrant[]): Promise<void> {
    for (const grant of line) {
      if (away.has(name)) left += 1;
      else
        await tell(grant).catch(async (err: unknown) => {
          const { id } = grant;
          const code = err instanceof Problem ? err.code : undefined;
          logger.warn({ err, code, id }, 'a grant is closed but not yet revoked at the provider');
          await db.updateTable('grants').set({ updated_at: now() }).where('id', '=', id).execute();
          left += 1;
          if (isAway(err)) away.add(name);
        });
    }
  }

  const waiting = lines.entries();
  const lane = async () => {
    for (const [name, line] of waiting) await tellLine(name, line);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return left;
}
