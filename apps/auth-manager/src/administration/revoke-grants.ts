import { newEvent } from '@postern/audit';
import { jobKind } from '@postern/bus';
import type { Audit } from '@postern/outbox';
import type { Logger } from '@postern/runtime';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { finishRevocation, type RevokeGrant } from '../grants/revoke-grant.ts';
import { revokeForGood } from '../grants/revoke-tokens.ts';
import { tellProviders, type UntoldGrant } from '../grants/untold-grants.ts';
import { grantFilter, matching } from './grant-filter.ts';

/** Name of the job in `/v1/jobs`. */
export const REVOKE_GRANTS = 'grants.revoke';

const input = z.strictObject({ filter: grantFilter, madeBefore: z.iso.datetime(), total: z.int() });
const checkpoint = z.object({ after: z.uuid(), closed: z.int(), left: z.int() });

export type RevokeGrants = RevokeGrant & { audit: Pick<Audit, 'within'>; service: string; logger: Logger };

const PAGE = 20;
const START = '00000000-0000-0000-0000-000000000000';

/**
 * Revokes every grant of a tenant that a plan means: a page is closed in one transaction, with its events and what was
 * minted (R14), and then told to the provider. A provider that does not answer is asked no more, so that it holds up nothing: `left`
 * says how many the worker's rounds go on with.
 */
export const revokeGrants = (deps: RevokeGrants) =>
  jobKind<Schema, z.output<typeof input>>({
    version: 1,
    input,
    async run(work) {
      const { filter, madeBefore, total } = work.input;
      const tenant = work.tenant ?? '';
      let reached = work.checkpoint ? checkpoint.parse(work.checkpoint) : { after: START, closed: 0, left: 0 };
      const away = new Set<string>();
      for (;;) {
        let rows: UntoldGrant[] = [];
        await work.step(async (tx) => {
          rows = await tx
            .selectFrom('grants')
            .select(['id', 'tenant', 'provider'])
            .where((row) => matching(row, tenant, filter))
            .where('created_at', '<=', new Date(madeBefore))
            .where('id', '>', reached.after)
            .orderBy('id')
            .limit(PAGE)
            .forUpdate()
            .execute();
          const ids = rows.map(({ id }) => id);
          if (ids.length > 0) {
            await tx
              .updateTable('grants')
              .set({ state: 'revoking', updated_at: deps.now() })
              .where('id', 'in', ids)
              .execute();
            await revokeForGood(tx, deps, ids);
          }
          for (const { id, provider } of rows) {
            const draft = {
              action: 'grant.revoked' as const,
              outcome: 'success' as const,
              tenant,
              actor: { workload: deps.service },
              resource: { type: 'grant', id },
              details: { cause: 'administrator', provider },
            };
            await deps.audit.within(tx, newEvent(draft, deps.now()));
          }
          const closed = reached.closed + ids.length;
          reached = { ...reached, after: ids.at(-1) ?? reached.after, closed };
          return { done: closed, total: Math.max(total, closed), checkpoint: reached };
        });
        if (rows.length === 0) break;
        const left = await tellProviders(deps, rows, ({ id }) => finishRevocation(deps, id), away);
        reached = { ...reached, left: reached.left + left };
      }
      return { revoked: reached.closed, left: reached.left };
    },
  });

/** The kind as whoever starts it needs it. */
export const revokeGrantsInput = { version: 1, input };
