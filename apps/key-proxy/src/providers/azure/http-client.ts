import { type Egress } from '@postern/egress';

/** What the SDK's pipeline asks of a transport (`HttpClient` of @azure/core-rest-pipeline). */
type PipelineRequest = {
  url: string;
  method: string;
  headers: Iterable<[string, string]>;
  body?: unknown;
  abortSignal?: unknown;
};

/** Headers as the pipeline reads them. */
function pipelineHeaders(from: Headers) {
  return {
    get: (name: string) => from.get(name) ?? undefined,
    has: (name: string) => from.has(name),
    set: (name: string, value: string | number | boolean) => from.set(name, String(value)),
    delete: (name: string) => from.delete(name),
    toJSON: () => Object.fromEntries(from),
    [Symbol.iterator]: () => from[Symbol.iterator](),
  };
}

const SKIPPED = new Set(['host', 'content-length', 'accept-encoding', 'connection']);

/** The SDK's calls, of vault and of login alike, over the one guarded way out (R35). */
export const overEgress = (egress: Pick<Egress, 'request'>, timeoutMs: number) => ({
  async sendRequest(request: PipelineRequest) {
    const { status, headers, body } = await egress.request(request.url, {
      method: request.method as 'GET',
      headers: Object.fromEntries([...request.headers].filter(([name]) => !SKIPPED.has(name.toLowerCase()))),
      ...(typeof request.body === 'string' || request.body instanceof Uint8Array ? { body: request.body } : {}),
      ...(request.abortSignal instanceof AbortSignal ? { signal: request.abortSignal } : {}),
      timeoutMs,
    });
    return { request, status, headers: pipelineHeaders(headers), bodyAsText: Buffer.from(body).toString() };
  },
});
