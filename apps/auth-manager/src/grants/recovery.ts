import type { StoredGrant } from './store-grant.ts';

/** What is told when a grant that could not be used can be again: in the transaction that stored its new token. */
export const recoveryOf = ({ id, generation }: StoredGrant, provider: string) => ({
  action: 'grant.recovered' as const,
  resource: { type: 'grant', id, version: generation },
  details: { provider },
});
