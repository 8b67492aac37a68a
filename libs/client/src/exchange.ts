import { audienceKey, audiencesIn, type Audiences } from './audiences.ts';
import { PosternError } from './errors.ts';
import { type Identities } from './identities.ts';
import { type CallOptions } from './options.ts';
import { sendForJson } from './send.ts';
import { createTokenCache, type ExchangedToken } from './token-cache.ts';
import { untilAborted } from './until-aborted.ts';

export type ExchangeRequest = CallOptions & {
  /** The token that says for whom; it must be bound to this caller's certificate or name this workload in `aud` (R8). */
  subjectToken: string;
  /** RFC 8693 section 3; an access token unless given. */
  subjectTokenType?: string;
  /** Or several, who all take the token. */
  audience: Audiences;
  scopes: readonly string[];
};

export type Exchange = (asked: ExchangeRequest) => Promise<ExchangedToken>;

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

type Deps = {
  identities: Identities;
  tokenExchange: () => URL;
  timeoutMs: number;
  renewBeforeSeconds: number;
  trace: () => Record<string, string>;
  now: () => Date;
};

/**
 * RFC 8693 at token-exchange, over the certificate that the subject token is bound to. One exchange is under way at a
 * time for the same (subject, audience, scope set, certificate), and its token is kept until shortly before it expires.
 * A caller's `signal` ends that caller's wait, not the exchange that others share.
 */
export function createExchange({
  identities,
  tokenExchange,
  timeoutMs,
  renewBeforeSeconds,
  trace,
  now,
}: Deps): Exchange {
  const cache = createTokenCache({ renewBeforeSeconds, now });

  async function exchangeNow(asked: ExchangeRequest): Promise<ExchangedToken> {
    const form = new URLSearchParams({
      grant_type: TOKEN_EXCHANGE,
      subject_token: asked.subjectToken,
      subject_token_type: asked.subjectTokenType ?? ACCESS_TOKEN,
      ...(asked.scopes.length > 0 ? { scope: asked.scopes.join(' ') } : {}),
    });
    for (const audience of audiencesIn(asked.audience)) form.append('audience', audience);
    const answer = await sendForJson(identities.forToken(asked.subjectToken), {
      service: 'token-exchange',
      url: new URL('/token', tokenExchange()),
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...trace() },
      body: form.toString(),
      repeatable: true,
      timeoutMs: asked.timeoutMs ?? timeoutMs,
    });
    return readToken(answer, asked.scopes, now());
  }

  return async (asked) => {
    const { thumbprint } = identities.forToken(asked.subjectToken);
    const { signal, ...shared } = asked;
    const token = await untilAborted(
      cache.get({ ...asked, audience: audienceKey(asked.audience), thumbprint }, () => exchangeNow(shared)),
      signal,
      'token-exchange',
    );
    identities.forToken(token.accessToken);
    return token;
  };
}

function readToken(answer: unknown, asked: readonly string[], now: Date): ExchangedToken {
  const said = (answer ?? {}) as Record<string, unknown>;
  const { access_token: accessToken, expires_in: expiresIn, issued_token_type: issuedTokenType, scope } = said;
  if (typeof accessToken !== 'string' || typeof expiresIn !== 'number')
    throw new PosternError('token-exchange', 'unexpected_answer');
  return {
    accessToken,
    issuedTokenType: typeof issuedTokenType === 'string' ? issuedTokenType : ACCESS_TOKEN,
    // RFC 6749 section 5.1: scope is left out where it is what was asked.
    scopes: typeof scope === 'string' ? scope.split(' ').filter((name) => name !== '') : [...asked],
    expiresAt: new Date(now.getTime() + expiresIn * 1000),
  };
}
