import { problem } from '@postern/runtime';
import type { Kysely } from 'kysely';
import type { Schema } from '../db/schema.ts';

/**
 * Keeps the registration that a grant is of from being removed until the transaction ends, so that no grant is left without its
 * provider. The operator's own is never removed.
 * @throws Problem `provider_not_found` where it is gone
 */
export type KeepRegistered = (tx: Kysely<Schema>, at: { tenant: string; provider: string }) => Promise<void>;

/** `operator`: the issuer of the operator's provider. */
export const keepRegistered =
  (operator: string): KeepRegistered =>
  async (tx, { tenant, provider }) => {
    if (provider === operator) return;
    const held = await tx
      .selectFrom('providers')
      .select('id')
      .where((one) => one.and({ tenant, issuer: provider }))
      .forKeyShare()
      .executeTakeFirst();
    if (!held) throw problem('provider_not_found');
  };
