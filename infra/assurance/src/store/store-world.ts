import { createPostern, type Postern } from '@postern/client';
import { closeInReverse } from '@postern/runtime';
import { freePort, testRun } from '@postern/testing';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openServiceWorld } from '../service-world.ts';

const RECORD_SCOPES = ['records:read', 'records:write', 'records:audit'];

/** crypto-store as processes of their own, with real servers beside them and an issuer of tokens. */
export type StoreWorld = Awaited<ReturnType<typeof openStoreWorld>>;

export type Replica = {
  url: string;
  management: string;
  /** A workload's client of this replica. */
  clientOf(workload: string, scopes?: readonly string[]): Promise<Client>;
  /** What the process wrote to its log so far. */
  log(): Promise<string>;
  kill(): Promise<void>;
};

export type Client = { postern: Postern; as: { token: string }; token: string };

/** Opens the world; `close` ends all of it, also when opening failed. */
export async function openStoreWorld() {
  const closing = closeInReverse();
  try {
    const cacheRules = '~crypto-store:* +@all -@admin -@dangerous';
    const world = await openServiceWorld(closing, 'crypto-store', { cacheRules });
    const { postgres, redis, issuer, database, cacheUrl } = world;

    const clientAt = async (
      url: string,
      workload: string,
      scopes: readonly string[] = RECORD_SCOPES,
    ): Promise<Client> => {
      const identity = await postgres.authority.issue(workload);
      const postern = createPostern({ tls: () => identity, urls: { cryptoStore: url } });
      closing.add(() => postern.close());
      const bound = { clientId: workload, actors: [workload], boundTo: identity.thumbprint };
      const token = await issuer.mint({ audience: 'crypto-store', scopes, ...bound });
      return { postern, as: { token }, token };
    };

    return {
      postgres,
      redis,
      issuer,
      database,
      cacheUrl,
      /** A replica with settings of its own, ready; `arguments_` stand before the program. */
      async replica(overrides: Record<string, string> = {}, arguments_: readonly string[] = []): Promise<Replica> {
        const [api, publicPort, management] = await Promise.all([freePort(), freePort(), freePort()]);
        const logFile = join(testRun().directory, `crypto-store-${api}.log`);
        const url = `https://127.0.0.1:${api}`;
        const ports = {
          POSTERN_API_PORT: String(api),
          POSTERN_PUBLIC_PORT: String(publicPort),
          POSTERN_PUBLIC_URL: url,
        };
        const settings = { ...ports, ...overrides };
        const server = await world.start({ settings, management, logFile, before: arguments_ });
        return {
          url,
          management: `http://127.0.0.1:${management}`,
          clientOf: (workload, scopes) => clientAt(url, workload, scopes),
          log: () => readFile(logFile, 'utf8'),
          kill: () => server.kill(),
        };
      },
      close: closing.close,
    };
  } catch (error) {
    await closing.close();
    throw error;
  }
}
