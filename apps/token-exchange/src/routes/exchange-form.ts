import type { PolicyDocument } from '@postern/policy';
import { z } from 'zod';
import type { Asked } from '../exchanges/plan-exchange.ts';
import { ExchangeRefused } from '../exchanges/refusal.ts';
import { targetsOf } from '../exchanges/targets-of.ts';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
export const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';
export const JWT = 'urn:ietf:params:oauth:token-type:jwt';

/** A parameter that came twice is an array here: its refusal says which rule it broke (RFC 6749 section 3.2). */
const parameter = (most: number) =>
  z.union([z.string().min(1).max(most), z.array(z.string().min(1).max(most)).max(16)]);

/** The form of RFC 8693 section 2.1. Strict: a parameter that is not offered is refused. A refresh token is no subject. */
export const exchangeForm = z.strictObject({
  grant_type: z.string().max(256).describe(`\`${TOKEN_EXCHANGE}\``),
  subject_token: z
    .string()
    .min(1)
    .max(16_384)
    .describe('the token of who it is for: bound to the caller, or naming it in `aud` (R8)'),
  subject_token_type: z.enum([ACCESS_TOKEN, JWT, ID_TOKEN]),
  actor_token: z.string().min(1).max(16_384).optional().describe('a token of who acts beside the caller'),
  actor_token_type: z.enum([ACCESS_TOKEN, JWT]).optional(),
  requested_token_type: z.enum([ACCESS_TOKEN, JWT]).optional(),
  audience: parameter(128)
    .optional()
    .describe('the service that the token is for; several for one token that all of them take'),
  resource: parameter(512).optional().describe('the same by its address (RFC 8707)'),
  scope: parameter(2_048).optional().describe('names with spaces between; what the policy does not allow is left out'),
  client_id: z.string().max(128).optional().describe("the caller's client, where it is named: it must be its own"),
  provider_proof: z
    .union([z.string().min(1).max(4_096), z.array(z.string().min(1).max(4_096)).max(2)])
    .optional()
    .describe(
      "An extension, for a grant and an audience outside Postern: DPoP proofs of the caller's key for the provider's token endpoint, the first for its refresh, the second for its exchange; what comes is bound to that key (R10)",
    ),
  justification: z
    .string()
    .min(1)
    .max(1_024)
    .optional()
    .describe('an extension: why a scope that needs an approval is asked for, as the approver reads it'),
  emergency: z
    .literal('true')
    .optional()
    .describe(
      'an extension, to break the glass (ADR 63): what the policy names for emergencies, after two people have approved',
    ),
});

export type ExchangeForm = z.output<typeof exchangeForm>;

/**
 * Audiences and scopes as the policy reads them.
 * @throws ExchangeRefused `several_values`, and what {@link targetsOf} refuses
 */
export function askedFor({ audience, resource, scope = '' }: ExchangeForm, policy: PolicyDocument): Asked {
  if (typeof scope !== 'string') throw new ExchangeRefused('several_values');
  const scopes = scope.split(' ').filter((name) => name !== '');
  const list = (value: string | string[] | undefined) => (value === undefined ? [] : [value].flat());
  return { audiences: targetsOf(policy, { audience: list(audience), resource: list(resource), scopes }), scopes };
}

export const providerProofsOf = ({ provider_proof: proofs }: ExchangeForm): string[] =>
  proofs === undefined ? [] : [proofs].flat();

/** @throws ExchangeRefused `actor_incomplete` for one of the two without the other */
export function actorTokenOf({ actor_token: token, actor_token_type: type }: ExchangeForm): string | undefined {
  if ((token === undefined) !== (type === undefined)) throw new ExchangeRefused('actor_incomplete');
  return token;
}
