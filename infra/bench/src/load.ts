import { Agent, type Dispatcher } from 'undici';

export type Target = {
  url: string;
  path: string;
  headers?: Record<string, string>;
  tls: { cert: string; key: string; ca: string };
};

/** Keep-alive requests from this many callers, each one after the other, for about `ms`. @returns how many answered 200 */
export async function load(
  { url, path, headers = {}, tls }: Target,
  { callers = 50, ms = 3_000 } = {},
): Promise<number> {
  const agent = new Agent({ connections: callers, pipelining: 1, connect: tls });
  const until = performance.now() + ms;
  let answered = 0;
  const caller = async () => {
    while (performance.now() < until) {
      const { statusCode, body } = await agent.request({
        origin: url,
        path,
        method: 'GET',
        headers,
      } as Dispatcher.RequestOptions);
      await body.dump();
      if (statusCode !== 200) throw new Error(`${path} answered ${statusCode}`);
      answered++;
    }
  };
  try {
    await Promise.all(Array.from({ length: callers }, caller));
    return answered;
  } finally {
    await agent.close();
  }
}
