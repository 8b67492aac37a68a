import { noContent, route } from '@postern/http';
import { z } from 'zod';
import { getGrant } from '../grants/find-grants.ts';
import { ownerOf } from '../grants/owner-of.ts';
import { beginRevocation, finishRevocation, type RevokeGrant } from '../grants/revoke-grant.ts';

/** Ends one of the person's own grants, here and at the provider. Where that gives no answer, the grant is closed all the same. */
export const deleteGrantRoute = (deps: RevokeGrant) =>
  route({
    method: 'DELETE',
    path: '/v1/grants/:id',
    listener: 'api',
    summary: 'Revoke one grant of the person',
    scope: 'grants:write',
    audit: 'grant.revoked',
    params: z.strictObject({ id: z.uuid() }),
    answers: { 204: noContent },
    problems: ['person_required', 'grant_not_found', 'grant_busy', 'provider_unavailable', 'provider_refused'],
    async handle({ principal, params: { id } }, audit) {
      const owner = ownerOf(principal);
      const { provider } = await getGrant(deps, owner, id);
      const what = { resource: { type: 'grant', id }, details: { cause: 'owner', provider } };
      return audit.effect(what, async () => {
        await beginRevocation(deps, owner, id);
        await finishRevocation(deps, id);
        return { what, answer: { status: 204 } };
      });
    },
  });
