import { PosternError } from '../errors.ts';
import type { FormAnswer } from './post-form.ts';
import { scopeError } from './scope-errors.ts';
import type { VerifyToken } from './verify-token.ts';

export type ScopesAsked = {
  subjectToken: string;
  /** None: whose the scopes are. */
  audiences: readonly string[];
  scopes: readonly string[];
  /** What an approver reads. */
  justification: string | undefined;
  /** Of the caller's trace. */
  headers: Readonly<Record<string, string>>;
  signal: AbortSignal;
};

export type GrantedToken = { accessToken: string; expiresInSeconds: number };

/** Where tokens are exchanged: Keycloak itself, or Postern, which has the same face to the caller. */
export type TokenEndpoint = {
  service: string;
  /** @throws PosternError with a code of `scopeErrorCodes` */
  exchange(asked: ScopesAsked): Promise<GrantedToken>;
  /** Of what it gives out. */
  verify: VerifyToken;
  /** Whether the caller's own token is of the same issuer, so that it may serve as it is. */
  ownTokenServes: boolean;
  /** What a token of now would be bound to: another of it is another token (R12). */
  binding(): string;
  /** A request with that token, over the connection or with the proof that it is bound to. */
  send(url: URL, init: RequestInit, token: string): Promise<Response>;
  close(): Promise<void>;
};

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** The form of RFC 8693 section 2.1. */
export const exchangeForm = ({ subjectToken, audiences, scopes, justification }: ScopesAsked): URLSearchParams => {
  const form = new URLSearchParams({
    grant_type: TOKEN_EXCHANGE,
    subject_token: subjectToken,
    subject_token_type: ACCESS_TOKEN,
    requested_token_type: ACCESS_TOKEN,
    scope: scopes.join(' '),
    ...(justification !== undefined && { justification }),
  });
  for (const audience of audiences) form.append('audience', audience);
  return form;
};

/** The token of an answer, or the stable error of a refusal. @throws PosternError */
export function grantedIn(service: string, scopes: readonly string[], answer: FormAnswer): GrantedToken {
  const { status, said, retryAfterSeconds } = answer;
  const { access_token: accessToken, expires_in: expiresIn } = said;
  if (status === 200 && typeof accessToken === 'string' && typeof expiresIn === 'number') {
    return { accessToken, expiresInSeconds: expiresIn };
  }
  if (status === 200 || status >= 500) {
    const detail = text(said['error']) ?? text(said['code']);
    throw new PosternError(service, status === 200 ? 'unexpected_answer' : 'unreachable', {
      status,
      ...(detail !== undefined && { detail }),
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    });
  }
  throw scopeError(service, scopes, {
    status,
    error: text(said['error']) ?? text(said['code']),
    description: text(said['error_description']) ?? text(said['title']),
    approvalId: text(said['approval_id']),
    intervalSeconds: number(said['interval']),
    expiresInSeconds: number(said['expires_in']),
    retryAfterSeconds,
  });
}

/** The headers of a request with the token in them, instead of whatever stood there. */
export function withToken(init: RequestInit, scheme: 'Bearer' | 'DPoP', token: string): Headers {
  const headers = new Headers(init.headers);
  headers.set('authorization', `${scheme} ${token}`);
  return headers;
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
const number = (value: unknown): number | undefined => (typeof value === 'number' && value >= 0 ? value : undefined);
