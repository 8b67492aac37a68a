import { type Egress } from '@postern/egress';

/** What the SDK asks of a transport (`HttpHandler` of its protocol package). */
type HttpRequest = {
  protocol: string;
  hostname: string;
  port?: number;
  path: string;
  method: string;
  query?: Record<string, string | string[] | null>;
  headers: Record<string, string>;
  body?: unknown;
};
type HandlerOptions = { abortSignal?: unknown };

const SKIPPED = new Set(['host', 'content-length', 'expect']);

/** The SDK's calls over the one guarded way out (R35): no other connection, no proxy, no redirect. */
export const overEgress = (egress: Pick<Egress, 'request'>, timeoutMs: number) => ({
  async handle(request: HttpRequest, { abortSignal }: HandlerOptions = {}) {
    const query = new URLSearchParams(
      Object.entries(request.query ?? {}).flatMap(([name, given]) =>
        (Array.isArray(given) ? given : [given ?? '']).map((value): [string, string] => [name, value]),
      ),
    ).toString();
    const port = request.port === undefined ? '' : `:${request.port}`;
    const url = `${request.protocol}//${request.hostname}${port}${request.path}${query === '' ? '' : `?${query}`}`;
    const { status, headers, body } = await egress.request(url, {
      method: request.method as 'POST',
      headers: Object.fromEntries(Object.entries(request.headers).filter(([name]) => !SKIPPED.has(name.toLowerCase()))),
      ...(typeof request.body === 'string' || request.body instanceof Uint8Array ? { body: request.body } : {}),
      ...(abortSignal instanceof AbortSignal ? { signal: abortSignal } : {}),
      timeoutMs,
    });
    return { response: { statusCode: status, headers: Object.fromEntries(headers), body } };
  },
  destroy() {},
  metadata: { handlerProtocol: 'http/1.1' },
});
