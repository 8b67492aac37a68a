import { Agent, request } from 'undici';
import { until } from './until.ts';

/** As much of any object of Kubernetes as is looked at here. */
export type Thing = {
  kind?: string;
  metadata: {
    name: string;
    namespace?: string;
    resourceVersion: string;
    generation?: number;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    ownerReferences?: { kind: string; name: string }[];
    deletionTimestamp?: string;
  };
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
  data?: Record<string, string>;
};

export type Seen = { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: Thing };

export type Api = {
  /** The objects below a path of the API: `/api/v1/namespaces/postern/pods`. */
  list(path: string): Promise<Thing[]>;
  get<T>(path: string): Promise<T>;
  /** Answers with the status; what is there already is left as it is. */
  create(path: string, object: object): Promise<number>;
  patch(path: string, object: object): Promise<void>;
  remove(path: string): Promise<void>;
  /** Every state that objects below a path come by, from now on; `stop` waits for what is still on its way. */
  watch(path: string): Promise<{ seen: Seen[]; stop(): Promise<void> }>;
  close(): Promise<void>;
};

/** The Kubernetes API, as the holder of a token. */
export function openApi(origin: string, { ca, token }: { ca: string; token: string }): Api {
  const dispatcher = new Agent({ connect: { ca }, bodyTimeout: 0 });
  const authorization = `Bearer ${token}`;
  const call = (
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    object?: object,
    type = 'application/json',
  ) =>
    request(`${origin}${path}`, {
      method,
      dispatcher,
      headers: { authorization, 'content-type': type },
      ...(object === undefined ? {} : { body: JSON.stringify(object) }),
    });
  const taken = async (answer: Awaited<ReturnType<typeof call>>, path: string) => {
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${path}: ${answer.statusCode} ${text}`);
    return JSON.parse(text) as unknown;
  };
  const get = async <T>(path: string) => (await taken(await call('GET', path), path)) as T;
  return {
    get,
    list: async (path) => (await get<{ items: Thing[] }>(path)).items,
    async create(path, object) {
      const { statusCode, body } = await call('POST', path, object);
      const text = await body.text();
      if (statusCode >= 300 && statusCode !== 409 && statusCode !== 429)
        throw new Error(`${path}: ${statusCode} ${text}`);
      return statusCode;
    },
    patch: async (path, object) =>
      void (await taken(await call('PATCH', path, object, 'application/strategic-merge-patch+json'), path)),
    remove: async (path) => void (await taken(await call('DELETE', path), path)),
    async watch(path) {
      const { metadata } = await get<{ metadata: { resourceVersion: string } }>(path);
      const aborter = new AbortController();
      const seen: Seen[] = [];
      const { body } = await request(`${origin}${path}?watch=1&resourceVersion=${metadata.resourceVersion}`, {
        dispatcher,
        headers: { authorization },
        signal: aborter.signal,
      });
      const reading = readLines(body, (line) => seen.push(JSON.parse(line) as Seen));
      return {
        seen,
        async stop() {
          const there = (await get<{ items: Thing[] }>(path)).items.map((each) =>
            Number(each.metadata.resourceVersion),
          );
          for (const version of there.filter((each) => each > Number(metadata.resourceVersion)))
            await until(() => seen.some(({ object }) => Number(object.metadata.resourceVersion) === version));
          aborter.abort();
          await reading;
        },
      };
    },
    close: () => dispatcher.destroy(),
  };
}

async function readLines(body: AsyncIterable<Buffer>, line: (text: string) => void): Promise<void> {
  let rest = '';
  try {
    for await (const chunk of body) {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const each of lines) if (each !== '') line(each);
    }
  } catch {
    // The watch was ended here.
  }
}
