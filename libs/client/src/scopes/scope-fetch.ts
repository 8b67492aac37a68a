import type { Audiences } from '../audiences.ts';
import { PosternError } from '../errors.ts';
import type { EnsureOptions } from './ensure-options.ts';
import type { TokenEndpoint } from './token-endpoint.ts';
import { scopesLackedBy } from './tool-answer.ts';

export type FetchOptions = Omit<EnsureOptions, 'signal'> & {
  /** Scopes to begin with; none: the caller's own token. */
  scopes?: readonly string[];
  /** Whether to step up to a scope that an answer names; any that policy gives unless given. */
  allow?: (scope: string) => boolean;
};

type Deps = {
  own: () => string;
  ensureScope: (scopes: readonly string[], options: EnsureOptions) => Promise<string>;
  forget: (scopes: readonly string[], audience: Audiences | undefined) => void;
  send: TokenEndpoint['send'];
};

/** Each answer may name one more scope; beyond this the server and the policy disagree. */
const MOST_STEP_UPS = 2;

/**
 * `fetch` for one origin: what a server names is only ever asked for with the audience that its caller gave that server, and sent to no other. A scope that
 * is denied leaves the server's own refusal as the answer; what else hinders the step up rejects. A body that is a stream is sent once.
 */
export function createScopeFetch(
  { own, ensureScope, forget, send }: Deps,
  origin: string,
  options: FetchOptions = {},
): typeof fetch {
  const { scopes = [], allow = () => true, ...ensuring } = options;
  let wanted: readonly string[] = [...scopes];

  async function tokenFor(these: readonly string[], signal: AbortSignal | undefined): Promise<string> {
    return these.length === 0 ? own() : ensureScope(these, { ...ensuring, ...(signal && { signal }) });
  }

  return async (input, init) => {
    const request = input instanceof Request ? input : undefined;
    const url = new URL(request ? request.url : (input as string | URL));
    if (url.origin !== origin)
      throw new PosternError(url.host, 'origin_refused', { detail: `this fetch is for ${origin}` });
    const sent: RequestInit = request ? { ...(await readRequest(request)), ...init } : { ...init };
    const signal = sent.signal ?? undefined;
    let token = await tokenFor(wanted, signal);
    for (let stepUps = 0, renewed = false; ;) {
      const answer = await send(url, sent, token);
      if (!isRepeatable(sent.body)) return answer;
      if (!renewed && wanted.length > 0 && isExpired(answer)) {
        renewed = true;
        forget(wanted, ensuring.audience);
        await answer.body?.cancel();
        token = await tokenFor(wanted, signal);
        continue;
      }
      const lacked = await scopesLackedBy(answer, typeof sent.body === 'string' ? sent.body : undefined);
      const wider = lacked.filter((scope) => !wanted.includes(scope) && allow(scope));
      if (wider.length === 0 || stepUps === MOST_STEP_UPS) return answer;
      stepUps += 1;
      const next = [...wanted, ...wider];
      try {
        token = await tokenFor(next, signal);
      } catch (error) {
        if (error instanceof PosternError && error.code === 'scope_denied') return answer;
        throw error;
      }
      wanted = [...new Set([...wanted, ...next])];
      await answer.body?.cancel();
    }
  };
}

/** RFC 6750 section 3.1: the token is over, though it was not yet renewed here. */
const isExpired = ({ status, headers }: Response): boolean =>
  status === 401 && /\berror="?invalid_token"?/.test(headers.get('www-authenticate') ?? '');

const isRepeatable = (body: RequestInit['body']): boolean =>
  body === undefined ||
  body === null ||
  typeof body === 'string' ||
  body instanceof URLSearchParams ||
  body instanceof FormData ||
  body instanceof Blob ||
  body instanceof ArrayBuffer ||
  ArrayBuffer.isView(body);

async function readRequest(request: Request): Promise<RequestInit> {
  const { method, headers, signal } = request;
  const body = request.body === null ? {} : { body: await request.arrayBuffer() };
  return { method, headers, signal, ...body };
}
