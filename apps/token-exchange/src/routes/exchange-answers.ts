import type { RouteAudit } from '@postern/http';
import { z } from 'zod';
import type { Said } from '../exchanges/refusal.ts';
import { ACCESS_TOKEN, JWT } from './exchange-form.ts';

const minted = z.strictObject({
  access_token: z
    .string()
    .describe('a JWT (RFC 9068), bound to the caller; or the token of the provider, where that mints for the audience'),
  issued_token_type: z.enum([ACCESS_TOKEN, JWT]),
  token_type: z.enum(['Bearer', 'DPoP']),
  expires_in: z.int().positive().describe('seconds'),
  scope: z
    .string()
    .describe('what was granted, with spaces between: fewer than asked for, where the policy gives fewer'),
});
const refused = z.strictObject({
  error: z.string().describe('RFC 6749 section 5.2, RFC 8693 section 2.2.2, RFC 8628 section 3.5'),
  error_description: z.string().describe('which rule refused it, in words'),
  approval_id: z.string().optional().describe('with `authorization_pending` and `slow_down`: what waits'),
  interval: z.int().positive().optional().describe('with them: seconds between two polls'),
  expires_in: z.int().nonnegative().optional().describe('with them: seconds for which it waits'),
  acr_values: z
    .string()
    .optional()
    .describe('with `insufficient_user_authentication` (RFC 9470 section 3): what to ask of the next login'),
  max_age: z.int().nonnegative().optional().describe('with it: seconds since that login, at most'),
});

/** RFC 8693 section 2.2: the answers of the token endpoint on each listener. */
export const exchangeAnswers = { 200: minted, 400: refused, 401: refused, 403: refused };

export type ExchangeAudit = RouteAudit<'token.exchanged', typeof exchangeAnswers>;

/** What a caller is told of a refusal, with what would help: an approval to wait for, a login to ask for (RFC 9470). */
export function refusedAnswer({ status, error, description, approval, loginNeeded }: Said) {
  const acr = loginNeeded?.acrValues.join(' ') ?? '';
  const login = {
    ...(acr !== '' && { acr_values: acr }),
    ...(loginNeeded?.maxAgeSeconds !== undefined && { max_age: loginNeeded.maxAgeSeconds }),
  };
  const listed = Object.entries({ error, ...login }).map(([name, value]) => `${name}="${value}"`);
  return {
    status,
    ...(status === 401 && { headers: { 'www-authenticate': `Bearer realm="postern", ${listed.join(', ')}` } }),
    body: {
      error,
      error_description: description,
      ...(approval && {
        approval_id: approval.id,
        interval: approval.intervalSeconds,
        expires_in: approval.expiresInSeconds,
      }),
      ...login,
    },
  };
}
