import type { Expression, ExpressionBuilder, SqlBool } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { workloadName } from '../grants/grant-answer.ts';

/** Which grants of a tenant are meant: all that are named must hold. A grant that is being revoked is meant by none. */
export const grantFilter = z.strictObject({
  issuer: z.string().min(1).max(512).optional().describe('where the person is known (R3)'),
  sub: z.string().min(1).max(256).optional().describe('the person there'),
  provider: z.string().min(1).max(512).optional().describe('the issuer that gave the grant'),
  client: z.string().min(1).max(128).optional().describe('this service as a client there'),
  workload: workloadName.optional().describe('a workload that has a handle'),
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
