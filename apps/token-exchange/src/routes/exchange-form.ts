import { z } from 'zod';
import { ExchangeRefused } from '../exchanges/refusal.ts';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';

/** A parameter that came twice is an array here: its refusal says which rule it broke (RFC 6749 section 3.2). */
const parameter = (most: number) => z.union([z.string().min(1).max(most), z.array(z.string().max(most)).max(16)]);

/** The form of RFC 8693 section 2.1. Strict: `actor_token`, `resource` and whatever else is not offered is refused. */
export const exchangeForm = z.strictObject({
  grant_type: z.string().max(256),
  subject_token: z.string().min(1).max(16_384),
  subject_token_type: z.enum([ACCESS_TOKEN, JWT]),
  requested_token_type: z.enum([ACCESS_TOKEN, JWT]).optional(),
  audience: parameter(128),
  scope: parameter(2_048).optional(),
  client_id: z.string().max(128).optional(),
  /** Why a scope that needs an approval is asked for: what the approver reads. An extension. */
  justification: z.string().min(1).max(1_024).optional(),
});

export type ExchangeForm = z.output<typeof exchangeForm>;

/**
 * Audience and scopes as the policy reads them.
 * @throws ExchangeRefused `several_audiences`, `several_values`
 */
export function askedFor({ audience, scope = '' }: ExchangeForm): { audience: string; scopes: string[] } {
  if (typeof audience !== 'string' || audience.includes(' ')) throw new ExchangeRefused('several_audiences');
  if (typeof scope !== 'string') throw new ExchangeRefused('several_values');
  return { audience, scopes: scope.split(' ').filter((name) => name !== '') };
}
