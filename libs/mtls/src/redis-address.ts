import { redisTls } from './client-tls.ts';
import type { TlsMaterial } from './material.ts';
import { newRedisClient } from './redis-client.ts';
import { redisServers, type Server } from './redis-servers.ts';

/** Where a Redis is, now. */
export type RedisAddress = {
  current(): Server;
  /** Calls `listener` when another server has become the master. Returns what ends that. */
  onChange(listener: () => void): () => void;
  close(): void;
};

export type RedisPlace = {
  /**
   * `rediss://user@host:port/database`, or of sentinels
   * `rediss://user@sentinel:26379/database?master=NAME&sentinels=other:26379,third:26379`.
   */
  url: string;
  /** The user's password, at the sentinels too. */
  password?: string | undefined;
  tls: TlsMaterial;
  /** Default: the host of the URL. */
  servername?: string;
  /** Told when no sentinel answers. */
  failed?: (error: Error) => void;
};

/** How often a sentinel is asked. It needs seconds to find that a master is gone; this adds little to them. */
const ASK_EVERY_MS = 1_000;
const ASK_TIMEOUT_MS = 2_000;

/**
 * Where the Redis of a URL is. With sentinels the master is asked for at the start and once a second, on one connection that is
 * kept: what follows it opens its own connections anew when it changes, as after a rotation of certificates.
 */
export async function redisAddress(place: RedisPlace): Promise<RedisAddress> {
  const [first, ...others] = redisServers(place.url, place.servername);
  const master = new URL(place.url).searchParams.get('master');
  if (master === null) return { current: () => first, onChange: () => () => {}, close: () => {} };
  return followMaster(master, [first, ...others], place);
}

async function followMaster(master: string, sentinels: readonly Server[], place: RedisPlace): Promise<RedisAddress> {
  const listeners = new Set<() => void>();
  let connection: Sentinel | undefined;
  let turn = 0;
  // Until a sentinel has answered there is no master, and nothing listens on port 0.
  let current: Server = { ...sentinels[0]!, port: 0 };
  let closed = false;

  const ask = async () => {
    try {
      connection ??= await connect(sentinels[turn % sentinels.length]!, place);
      const [host, port] = await connection.masterOf(master);
      if (host === current.host && port === current.port) return;
      current = { host, port, servername: place.servername ?? host };
      for (const listener of listeners) listener();
    } catch (error) {
      connection?.close();
      connection = undefined;
      turn += 1;
      place.failed?.(error as Error);
    }
  };
  for (let attempt = 0; attempt < sentinels.length && current.port === 0; attempt += 1) await ask();
  let asking: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    asking = asking.then(() => (closed ? undefined : ask()));
  }, ASK_EVERY_MS);
  timer.unref();

  return {
    current: () => current,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      closed = true;
      clearInterval(timer);
      connection?.close();
    },
  };
}

type Sentinel = { masterOf(name: string): Promise<[host: string, port: number]>; close(): void };

/** @throws Error when this sentinel does not answer */
async function connect({ host, port, servername }: Server, { url, password, tls }: RedisPlace): Promise<Sentinel> {
  const client = newRedisClient({
    username: decodeURIComponent(new URL(url).username),
    ...(password === undefined ? {} : { password }),
    name: 'sentinel',
    socket: { host, port, connectTimeout: ASK_TIMEOUT_MS, reconnectStrategy: false, ...redisTls(tls, servername) },
    disableOfflineQueue: true,
    commandOptions: { timeout: ASK_TIMEOUT_MS },
  });
  client.on('error', () => {});
  await client.connect();
  return {
    async masterOf(name) {
      const answer = await client.sendCommand(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name]);
      if (!Array.isArray(answer)) throw new Error('the sentinel knows no such master');
      return [String(answer[0]), Number(answer[1])];
    },
    close: () => {
      if (client.isOpen) client.destroy();
    },
  };
}
