import type { Egress } from '@postern/egress';
import type { Profile } from '@postern/profile';
import { type Now, problem } from '@postern/runtime';
import type { Kysely, Selectable } from 'kysely';
import { z } from 'zod';
import type { ProvidersTable, Schema } from '../db/schema.ts';
import { scope } from '../grants/grant-answer.ts';
import type { Vault } from '../grants/vault.ts';
import type { Providers } from './open-providers.ts';

/** What the routes of the registry need. */
export type ProviderRegistry = {
  db: Kysely<Schema>;
  vault: Vault;
  providers: Providers;
  tenantEgress: Egress;
  profile: Profile;
  publicUrl: string;
  callbackUrl: string;
  now: Now;
};

export type ProviderRow = Selectable<ProvidersTable>;

/** How a provider is called, as a person reads it. */
export const providerName = z
  .string()
  .trim()
  .min(1)
  .max(80)
  .regex(/^[^\p{Cc}\p{Cf}\p{Co}\p{Cn}]*$/u)
  .describe('for people: one line of at most 80 characters');
/** Those of a consent that the provider knows by name. */
export const providerScopes = z.array(scope).max(64).describe('those of a consent that the provider knows by name');
/** A client secret as a provider's administrator gave it; printable ASCII (RFC 6749, appendix A.2). */
export const clientSecret = z
  .string()
  .regex(/^[\x20-\x7e]{8,512}$/)
  .describe('where the provider knows no `private_key_jwt`; sealed, and never given out again');

export const providerAnswer = z.strictObject({
  id: z.uuid(),
  issuer: z.string().describe('`iss` of its tokens'),
  client_id: z.string().describe('this service as a client there'),
  name: z.string().describe('for people'),
  scopes: providerScopes,
  state: z.enum(['active', 'disabled']),
  created_at: z.iso.datetime(),
  /** What its administrator registers for us. */
  register: z.strictObject({
    redirect_uri: z.url().describe('where it returns browsers'),
    jwks_uri: z.url().describe('where it reads our public keys'),
    backchannel_logout_uri: z.url().describe('where it announces logouts'),
    token_endpoint_auth_method: z.enum(['private_key_jwt', 'client_secret_basic']),
  }),
});
export const providerParams = z.strictObject({ id: z.uuid() });

/** Who may see and change the registry. */
export const administrators = { listener: 'api', role: 'admin' } as const;

export const viewOf = (
  { publicUrl, callbackUrl }: Pick<ProviderRegistry, 'publicUrl' | 'callbackUrl'>,
  row: ProviderRow,
): z.output<typeof providerAnswer> => ({
  id: row.id,
  issuer: row.issuer,
  client_id: row.client_id,
  name: row.name,
  scopes: row.scopes,
  state: row.state,
  created_at: row.created_at.toISOString(),
  register: {
    redirect_uri: callbackUrl,
    jwks_uri: `${publicUrl}/v1/providers/${row.id}/jwks.json`,
    backchannel_logout_uri: `${publicUrl}/v1/backchannel-logout`,
    token_endpoint_auth_method: row.sealed_secret === null ? 'private_key_jwt' : 'client_secret_basic',
  },
});

/** @throws Problem `provider_not_found`, for another tenant's as for none. */
export async function findProvider(db: Kysely<Schema>, tenant: string, id: string): Promise<ProviderRow> {
  const row = await db
    .selectFrom('providers')
    .selectAll()
    .where((one) => one.and({ id, tenant }))
    .executeTakeFirst();
  if (!row) throw problem('provider_not_found');
  return row;
}
