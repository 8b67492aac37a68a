import { noContent, route } from '@postern/http';
import { z } from 'zod';
import { deleteHandle } from '../grants/delete-handle.ts';
import { ownerOf } from '../grants/owner-of.ts';
import { finishRevocation, type RevokeGrant } from '../grants/revoke-grant.ts';

/** Takes a handle from one of the person's own grants. With the last one the grant ends, here and at the provider. */
export const deleteHandleRoute = (deps: RevokeGrant) =>
  route({
    method: 'DELETE',
    path: '/v1/grants/:id/handles/:handle',
    listener: 'api',
    summary: 'Take a handle from a grant; the last one ends it',
    scope: 'grants:write',
    audit: 'handle.deleted',
    params: z.strictObject({ id: z.uuid(), handle: z.uuid() }),
    answers: { 204: noContent },
    problems: [
      'person_required',
      'grant_not_found',
      'handle_not_found',
      'grant_busy',
      'provider_unavailable',
      'provider_refused',
    ],
    async handle({ principal, params }, audit) {
      const at = { grantId: params.id, handleId: params.handle, now: deps.now() };
      const { provider, wasLast, released } = await deps.db.transaction().execute(async (tx) => {
        const { workload, ...deleted } = await deleteHandle(tx, deps, ownerOf(principal), at);
        const what = { resource: { type: 'handle', id: params.handle }, details: { workload } };
        return { ...deleted, released: await audit.within(tx, what, { status: 204 }) };
      });
      if (!wasLast) return released;
      const what = {
        action: 'grant.revoked' as const,
        resource: { type: 'grant', id: params.id },
        details: { cause: 'last_handle', provider },
      };
      return audit.effect<'grant.revoked'>(what, async () => {
        await finishRevocation(deps, params.id);
        return { what, answer: { status: 204 } };
      });
    },
  });
