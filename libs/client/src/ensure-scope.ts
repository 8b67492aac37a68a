import { PosternError } from './errors.ts';
import { type Exchange, type ExchangeRequest } from './exchange.ts';

/** Each attempt may name one more scope; beyond this the service and the policy disagree and asking again is pointless. */
const MOST_STEP_UPS = 2;

/**
 * Runs `work` with a token of the asked scopes; when the service answers `insufficient_scope`, exchanges the subject
 * token again with the scopes it named and runs `work` once more. The caller's own token is never replaced.
 *
 * @throws PosternError of the exchange where policy refuses the scope; otherwise whatever `work` throws
 */
export async function ensureScope<T>(
  exchange: Exchange,
  asked: ExchangeRequest,
  work: (token: string) => Promise<T>,
): Promise<T> {
  let scopes = [...asked.scopes];
  for (let stepUps = 0; ; stepUps += 1) {
    const { accessToken } = await exchange({ ...asked, scopes });
    try {
      return await work(accessToken);
    } catch (error) {
      const wider = [...new Set([...scopes, ...lackedScopes(error)])];
      if (wider.length === scopes.length || stepUps === MOST_STEP_UPS) throw error;
      scopes = wider;
    }
  }
}

const lackedScopes = (error: unknown): readonly string[] =>
  error instanceof PosternError && error.code === 'insufficient_scope' ? (error.requiredScopes ?? []) : [];
