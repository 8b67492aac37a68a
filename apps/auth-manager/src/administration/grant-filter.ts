import type { Expression, ExpressionBuilder, SqlBool } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { workloadName } from '../grants/grant-answer.ts';

/** Which grants of a tenant are meant: all that are named must hold. A grant that is being revoked is meant by none. */
export const grantFilter = z.strictObject({
  /** The person (R3). */
  issuer: z.string().min(1).max(512).optional(),
  sub: z.string().min(1).max(256).optional(),
  provider: z.string().min(1).max(512).optional(),
  /** This service as the client of the provider that gave the token. */
  client: z.string().min(1).max(128).optional(),
  /** A workload that has a handle. */
  workload: workloadName.optional(),
  kind: z.enum(['offline', 'refresh']).optional(),
  state: z.enum(['active', 'reauthorization_required', 'ended']).optional(),
});
export type GrantFilter = z.output<typeof grantFilter>;

type Grants = ExpressionBuilder<Schema, 'grants'>;

/** The condition of a filter, within one tenant. */
export function matching(row: Grants, tenant: string, filter: GrantFilter): Expression<SqlBool> {
  const { issuer, sub, provider, client, workload, kind, state } = filter;
  const equal = Object.entries({
    person_issuer: issuer,
    person_sub: sub,
    provider,
    client,
    kind,
    state,
  } as const).flatMap(([column, value]) =>
    value === undefined ? [] : [row(column as 'person_issuer' | 'person_sub' | 'provider' | 'client', '=', value)],
  );
  const handled =
    workload === undefined
      ? []
      : [
          row.exists(
            row
              .selectFrom('handles')
              .select('handles.id')
              .whereRef('handles.grant_id', '=', 'grants.id')
              .where('handles.workload', '=', workload),
          ),
        ];
  return row.and([row('tenant', '=', tenant), row('state', '<>', 'revoking'), ...equal, ...handled]);
}
