import { createClient } from 'redis';
import { redisTls } from './client-tls.ts';
import type { TlsMaterial } from './material.ts';

export type RedisOptions = {
  /** `rediss://user@host:port`. */
  url: string;
  password: string;
  tls: TlsMaterial;
  /** Shown in `CLIENT LIST`. */
  name: string;
  /** The name the server's certificate must carry. Default: the host of the URL. */
  servername?: string;
  /** A command without answer after this long fails. Default 2 s. */
  commandTimeoutMs?: number;
  /** Told about every connection error; the client goes on trying by itself. */
  failed?: (error: Error) => void;
};

export type RedisClient = ReturnType<typeof build>;

export type RedisHandle = {
  /** The client of the newest certificate. Ask for it at each use: the one before it is drained and closed. */
  client(): RedisClient;
  /** Whether a command would be sent now, rather than fail at once. */
  ready(): boolean;
  /** @throws Error when Redis does not answer. */
  check(): Promise<void>;
  close(): Promise<void>;
};

/**
 * Opens Redis over mTLS. It does not fail when Redis is away: commands then reject at once, and the client keeps
 * trying. Who cannot do without Redis calls `check()`.
 *
 * node-redis keeps its certificate even over a reconnect, so each rotation builds a new client, swaps it in once it is
 * connected, and lets the old one finish its commands.
 */
export async function openRedis(options: RedisOptions): Promise<RedisHandle> {
  let client = build(options);
  let closed = false;
  let swapping = Promise.resolve();
  await settled(client);

  const swap = async () => {
    if (closed) return;
    const next = build(options);
    await settled(next);
    const old = client;
    client = next;
    await drain(old);
  };
  const unsubscribe = options.tls.onChange(() => {
    swapping = swapping.then(swap);
  });

  return {
    client: () => client,
    ready: () => client.isReady,
    async check() {
      await client.ping();
    },
    async close() {
      closed = true;
      unsubscribe();
      await swapping;
      await drain(client);
    },
  };
}

function build({ url, password, tls, name, servername, commandTimeoutMs = 2_000, failed = () => {} }: RedisOptions) {
  const { hostname, port, username, pathname } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const client = createClient({
    username: decodeURIComponent(username),
    password,
    name,
    database: Number(pathname.slice(1) || 0),
    socket: {
      host,
      port: Number(port || 6379),
      connectTimeout: 5_000,
      reconnectStrategy: (attempts: number) => Math.min(50 * 2 ** attempts, 2_000),
      ...redisTls(tls, servername ?? host),
    },
    disableOfflineQueue: true,
    commandOptions: { timeout: commandTimeoutMs },
  });
  client.on('error', failed);
  return client;
}

/** Resolves at the first connection or the first failure, whichever comes. */
async function settled(client: RedisClient): Promise<void> {
  const failure = new Promise<void>((resolve) => client.once('error', () => resolve()));
  await Promise.race([
    client.connect().then(
      () => {},
      () => {},
    ),
    failure,
  ]);
}

async function drain(client: RedisClient): Promise<void> {
  if (client.isReady) await client.close().catch(() => client.destroy());
  else client.destroy();
}
