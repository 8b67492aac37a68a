import { type Kysely } from 'kysely';
import { z } from 'zod';
import { type Principal } from '@postern/oidc';
import { problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { findSecret } from './find-secret.ts';
import { type HeldSecret } from './held-secret.ts';
import { type Owner, ownerOf } from './owner.ts';
import { type Verb } from './verbs.ts';

/** Whose secret is meant, where it is not the caller's own: the person's id, and their issuer where it is another one. */
export const ofOwner = {
  owner: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe("whose secret, of those that one was granted: the person's `sub`"),
  owner_issuer: z
    .url({ protocol: /^https$/ })
    .max(256)
    .optional()
    .describe('where that person is known; absent: where the caller is'),
};
export type OfOwner = { owner?: string | undefined; owner_issuer?: string | undefined };

/**
 * The secret of that name, if the caller may do this with it: their own, or one of their tenant that was granted to them.
 * What was not granted is not there: one answer for both.
 * @throws Problem `secret_not_found`; `person_required`
 */
export async function reachSecret(
  db: Kysely<Schema>,
  principal: Pick<Principal, 'tenant' | 'person'>,
  { name, owner, owner_issuer }: OfOwner & { name: string },
  verb: Verb,
): Promise<HeldSecret> {
  const caller = ownerOf(principal);
  const of: Owner = { ...caller, issuer: owner_issuer ?? caller.issuer, sub: owner ?? caller.sub };
  const secret = await findSecret(db, of, name);
  if (of.issuer === caller.issuer && of.sub === caller.sub) return secret;
  const granted = await db
    .selectFrom('secret_grants')
    .select('secret_id')
    .where((at) =>
      at
        .and({ secret_id: secret.id, grantee_issuer: caller.issuer, grantee_sub: caller.sub })
        .and(at.val(verb), '=', at.fn.any('verbs')),
    )
    .executeTakeFirst();
  if (!granted) throw problem('secret_not_found');
  return { ...secret, grant: `${verb} ${caller.issuer} ${caller.sub}` };
}
