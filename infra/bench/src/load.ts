import { Agent, type Dispatcher } from 'undici';

import { median } from './measure.ts';

export type Call = { method: 'GET' | 'POST' | 'PUT'; path: string; headers?: Record<string, string>; body?: string };

export type Target = {
  url: string;
  tls: { cert: string; key: string; ca: string };
  /** The n-th request. */
  call: (n: number) => Call;
};

export type Loaded = { answered: number; p99Ms: number; bodies: string[] };

export type LoadOptions = {
  callers?: number;
  ms?: number;
  /** Ends when this is aborted, in place of `ms`: what is under way is finished. */
  until?: AbortSignal;
  /** Ends at this many requests, however long they take. */
  requests?: number;
  /** Whether the answers' bodies are kept. */
  keep?: boolean;
};

/** Keep-alive requests from this many callers, each one after the other, for about `ms`. @throws on an answer that is no success */
export async function load({ url, tls, call }: Target, options: LoadOptions = {}): Promise<Loaded> {
  const { callers = 50, requests = Infinity, keep = false, until: ending } = options;
  const ms = requests === Infinity && ending === undefined ? (options.ms ?? 3_000) : Infinity;
  const agent = new Agent({ connections: callers, pipelining: 1, connect: tls });
  const until = performance.now() + ms;
  const took: number[] = [];
  const bodies: string[] = [];
  let asked = 0;
  const caller = async () => {
    while (performance.now() < until && asked < requests && !ending?.aborted) {
      const began = performance.now();
      const request = call((asked += 1));
      const { statusCode, body } = await agent.request({ origin: url, ...request } as Dispatcher.RequestOptions);
      if (keep) bodies.push(await body.text());
      else await body.dump();
      if (statusCode >= 300) throw new Error(`${request.method} ${request.path} answered ${statusCode}`);
      took.push(performance.now() - began);
    }
  };
  try {
    await Promise.all(Array.from({ length: callers }, caller));
    const slowest = took.toSorted((a, b) => b - a).slice(0, Math.ceil(took.length / 50));
    return { answered: took.length, p99Ms: median(slowest), bodies };
  } finally {
    await agent.close();
  }
}
