import { route } from '@postern/http';
import type { Kysely } from 'kysely';
import type { Now } from '@postern/runtime';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { keepingOf } from '../keep-alive/keep-alive-metrics.ts';

export type KeepAliveRoutes = { db: Kysely<Schema>; now: Now };

const count = z.int().min(0);

/** How the tenant's grants of each provider are: for its administrator. */
export const readKeepAliveRoute = ({ db, now }: KeepAliveRoutes) =>
  route({
    method: 'GET',
    path: '/v1/keep-alive',
    listener: 'api',
    summary: 'How the tenant’s grants of each provider are, and whether they are kept alive',
    scope: 'grants:read',
    role: 'admin',
    audit: 'keeping.read',
    answers: {
      200: z.strictObject({
        providers: z.array(
          z.strictObject({
            provider: z.string().describe('its issuer'),
            paused: z.boolean().describe('whether its grants are left alone'),
            active: count.describe('grants that give tokens'),
            overdue: count.describe('of those, not confirmed in time'),
            reauthorization_required: count.describe('grants that need the person again'),
          }),
        ),
      }),
    },
    async handle({ principal: { tenant } }, audit) {
      const rows = await keepingOf(db, now(), tenant);
      const pauses = await db.selectFrom('tenant_pauses').select('provider').where('tenant', '=', tenant).execute();
      const paused = new Set(pauses.map(({ provider }) => provider));
      const names = [...new Set([...rows.map(({ provider }) => provider), ...paused])].sort();
      const providers = names.map((provider) => {
        const of = (state: string) => rows.find((row) => row.provider === provider && row.state === state);
        return {
          provider,
          paused: paused.has(provider),
          active: Number(of('active')?.count ?? 0),
          overdue: Number(of('active')?.late ?? 0),
          reauthorization_required: Number(of('reauthorization_required')?.count ?? 0),
        };
      });
      return audit.released({ details: {} }, { status: 200, body: { providers } });
    },
  });

/** Pauses the keeping alive of the tenant's grants at one provider, or resumes it. Whoever uses a grant is not held up by a pause. */
export const changeKeepAliveRoute = ({ db, now }: KeepAliveRoutes) =>
  route({
    method: 'PUT',
    path: '/v1/keep-alive',
    listener: 'api',
    summary: 'Pause or resume the keeping alive of the tenant’s grants of a provider',
    scope: 'grants:write',
    role: 'admin',
    audit: 'keeping.changed',
    body: z.strictObject({
      provider: z.url().max(512).describe('its issuer'),
      paused: z.boolean().describe('whether its grants are left alone'),
    }),
    answers: {
      200: z.strictObject({
        provider: z.string().describe('its issuer'),
        paused: z.boolean().describe('whether its grants are left alone'),
      }),
    },
    async handle({ principal, body }, audit) {
      const { provider, paused } = body;
      const at = { tenant: principal.tenant, provider };
      return db.transaction().execute(async (tx) => {
        if (paused) {
          await tx
            .insertInto('tenant_pauses')
            .values({ ...at, paused_at: now(), paused_by: principal.person?.sub ?? principal.clientId })
            .onConflict((conflict) => conflict.columns(['tenant', 'provider']).doNothing())
            .execute();
        } else {
          await tx
            .deleteFrom('tenant_pauses')
            .where((row) => row.and(at))
            .execute();
        }
        return audit.within(tx, { details: { provider, paused } }, { status: 200, body });
      });
    },
  });
