import { redisTls } from './client-tls.ts';
import type { TlsMaterial } from './material.ts';
import { redisAddress, type RedisAddress } from './redis-address.ts';
import { newRedisClient } from './redis-client.ts';

export type RedisOptions = {
  /** `rediss://user@host:port`, or of sentinels (see `RedisPlace`). */
  url: string;
  password: string;
  tls: TlsMaterial;
  /** Shown in `CLIENT LIST`. */
  name: string;
  /** The name the server's certificate must carry. Default: the host of the URL. */
  servername?: string;
  /** A connection that leaves a ping without answer for this long is given up, and its commands fail. Default 2 s. */
  commandTimeoutMs?: number;
  /** Told about every connection error; the client goes on trying by itself. */
  failed?: (error: Error) => void;
};

const WATCH_INTERVAL_MS = 1_000;
const DRAIN_MS = 2_000;

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
 * node-redis keeps its certificate and its address even over a reconnect, so each rotation, and each new master that sentinels
 * name, builds a new client, swaps it in once it is connected, and lets the old one finish its commands.
 */
export async function openRedis(options: RedisOptions): Promise<RedisHandle> {
  const { commandTimeoutMs = 2_000 } = options;
  const address = await redisAddress(options);
  let client = build(options, address);
  let closed = false;
  let swapping = Promise.resolve();
  await settled(client);

  const swap = async () => {
    if (closed) return;
    const next = build(options, address);
    await settled(next);
    const old = client;
    client = next;
    await drain(old);
  };
  const swapSoon = () => {
    swapping = swapping.then(swap);
  };
  const unsubscribe = [options.tls.onChange(swapSoon), address.onChange(swapSoon)];
  // node-redis bounds only how long a command waits to be sent. A connection that swallows commands is given up here,
  // which fails what was waiting on it.
  const watchdog = setInterval(async () => {
    const watched = client;
    if (!watched.isReady || (await answersWithin(watched.ping(), commandTimeoutMs)) || closed) return;
    if (client === watched) {
      client = build(options, address);
      void settled(client);
    }
    watched.destroy();
  }, WATCH_INTERVAL_MS);
  watchdog.unref();

  return {
    client: () => client,
    ready: () => client.isReady,
    async check() {
      await client.ping();
    },
    async close() {
      closed = true;
      clearInterval(watchdog);
      for (const end of unsubscribe) end();
      address.close();
      await swapping;
      await drain(client);
    },
  };
}

function build({ url, password, tls, name, failed = () => {} }: RedisOptions, address: RedisAddress) {
  const { username, pathname } = new URL(url);
  const { host, port, servername } = address.current();
  const client = newRedisClient({
    username: decodeURIComponent(username),
    password,
    name,
    database: Number(pathname.slice(1) || 0),
    socket: {
      host,
      port,
      connectTimeout: 5_000,
      reconnectStrategy: (attempts: number) => Math.min(50 * 2 ** attempts, 2_000),
      ...redisTls(tls, servername),
    },
    disableOfflineQueue: true,
    // Its default makes an AbortSignal for each command, whose timer runs on after the answer. The watchdog above bounds more.
    commandOptions: { timeout: 0 },
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
  if (client.isReady && (await answersWithin(client.close(), DRAIN_MS))) return;
  if (client.isOpen) client.destroy();
}

/** Whether `answer` resolves in time. */
async function answersWithin(answer: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), ms);
  const answered = answer.then(
    () => true,
    () => false,
  );
  const inTime = await Promise.race([answered, late]);
  clearTimeout(timer);
  return inTime;
}
