import { type Postern, PosternError } from '@postern/client';
import { problem, type Problem, Secret } from '@postern/runtime';
import { type OnBehalf, type SecretProvider } from './secret-provider.ts';

/**
 * Postern's own store. crypto-store trusts this service for no tenant (R5): each call carries a token that token-exchange
 * minted for this very caller, and lands in the namespace that crypto-store keeps for this workload.
 */
export function cryptoStoreProvider(records: Postern['records']): SecretProvider {
  const as = ({ subjectToken }: OnBehalf) => ({ subjectToken: subjectToken.reveal() });
  return {
    kind: 'crypto-store',
    async write(reference, value, by) {
      const stored = await translated(records.store({ key: reference, payload: value.reveal() }, as(by)));
      return { version: String(stored.version ?? 1) };
    },
    async read(reference, by) {
      const { payload } = await translated(records.retrieve(reference, as(by)));
      return { value: new Secret(payload) };
    },
  };
}

async function translated<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw error instanceof PosternError ? problemOf(error) : error;
  }
}

/** Which of the contract's failures an answer is; the caller learns that, the log keeps the error itself. */
function problemOf(cause: PosternError): Problem {
  const { status, code, retryAfterSeconds } = cause;
  if (code === 'record_not_found') return problem('secret_missing', { cause });
  const noAnswer = status === undefined ? code !== 'unexpected_answer' && code !== 'answer_too_large' : false;
  if (noAnswer || status === 429 || status === 503) {
    return problem('provider_unreachable', { cause, retryAfterSeconds: retryAfterSeconds ?? 2 });
  }
  // token-exchange tells a refusal by policy as an OAuth error, RFC 6749 section 5.2 and RFC 8693 section 2.2.2.
  const byPolicy = ['invalid_target', 'invalid_scope', 'invalid_grant', 'access_denied', 'unauthorized_client'];
  if (status === 403 || byPolicy.includes(code)) return problem('provider_forbidden', { cause });
  return problem('provider_failed', { cause });
}
