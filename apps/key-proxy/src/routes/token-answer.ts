import { z } from 'zod';
import { type Binding } from '@postern/oidc';
import { type LoginToken } from '../accounts/login-token.ts';
import { problems } from '../problems.ts';

/** A session's tokens (RFC 6749 section 5.1). */
export const tokenBody = z.strictObject({
  access_token: z.string().describe('good at this service, and as a subject at token-exchange'),
  token_type: z.enum(['Bearer', 'DPoP']),
  expires_in: z.int().positive().describe('seconds'),
  scope: z.string().describe('with spaces between'),
  refresh_token: z.string().describe('good once, for the same workload or DPoP key'),
});

export const tokenAnswer = (minted: LoginToken, session: { refreshToken: string }, binding: Binding) => ({
  status: 200 as const,
  body: {
    access_token: minted.token,
    token_type: binding.kind === 'dpop' ? ('DPoP' as const) : ('Bearer' as const),
    expires_in: minted.lifetimeSeconds,
    scope: minted.scopes.join(' '),
    refresh_token: session.refreshToken,
  },
});

const codes = ['login_refused', 'factor_required', 'refresh_refused'] as const;

/** A problem document (RFC 9457) that is answered, since what it tells of is recorded in a transaction. */
export const refusalBody = z.strictObject({
  type: z.string().describe('`urn:postern:problem:` and the code'),
  title: z.string().describe('what the code means'),
  status: z.literal(401),
  code: z.enum(codes),
  request: z.string().describe('the X-Request-Id'),
});

/** One refusal for an unknown address and for a wrong password. */
export function refusal(code: (typeof codes)[number], request: string) {
  const { status, title } = problems[code];
  const body = { type: `urn:postern:problem:${code}`, title, status, code, request } as const;
  return { status, headers: { 'content-type': 'application/problem+json' }, body };
}
