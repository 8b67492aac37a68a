import { endedLate, newRedisClient, redisTls, type RedisAddress, type TlsMaterial } from '@postern/mtls';
import type { Logger, Registry } from '@postern/runtime';
import type * as bullMq from './bullmq.ts';

export type BusOptions = {
  /** `rediss://user@host:port`, or of sentinels (see `redisAddress` of mtls). */
  url: string;
  password?: string | undefined;
  /** Material of the bus's own CA (R21). */
  tls: TlsMaterial;
  /** This service: its queues lie under its prefix. */
  service: string;
  logger: Logger;
  /** The name the server's certificate must carry. Default: the host of the URL. */
  servername?: string;
  /** Where the bus says how full its queues are, and how its Redis is set. */
  metrics?: Registry;
};

export type BullMq = typeof bullMq;

export type Connection = ReturnType<typeof openConnection>;

/**
 * One node-redis client, shared by queues and workers (which duplicate it for their blocking reads). node-redis keeps its
 * certificate and address for life, so a rotation or another master opens a new one. BullMQ does not close a client that it was given: `close` does.
 */
export function openConnection(
  { createNodeRedisClient }: BullMq,
  { url, password, tls, service, logger }: BusOptions,
  address: RedisAddress,
) {
  const { username, pathname } = new URL(url);
  const { host, port, servername } = address.current();
  let closed = false;
  const raw = newRedisClient({
    username: decodeURIComponent(username),
    ...(password === undefined ? {} : { password }),
    name: service,
    database: Number(pathname.slice(1) || 0),
    socket: {
      host,
      port,
      connectTimeout: 5_000,
      // BullMQ connects a client again that never was connected, even after its close: once, then no more.
      reconnectStrategy: (attempts: number) => (closed ? false : Math.min(50 * 2 ** attempts, 2_000)),
      ...redisTls(tls, servername),
    },
  });
  let down = false;
  raw.on('error', (err) => {
    // One line an outage, not one a retry.
    if (!down) logger.warn({ err, peer: 'redis-bus' }, 'the bus cannot be reached');
    down = true;
  });
  raw.on('ready', () => {
    down = false;
  });
  // BullMQ duplicates the client for blocking reads. Those that cannot connect would go on trying after a close.
  const opened = [raw];
  const duplicate = raw.duplicate.bind(raw);
  raw.duplicate = ((...args: Parameters<typeof raw.duplicate>) => {
    const copy = endedLate(duplicate(...args));
    copy.on('error', () => {});
    opened.push(copy as unknown as typeof raw);
    return copy;
  }) as typeof raw.duplicate;
  return {
    client: createNodeRedisClient(raw),
    ready: () => raw.isReady,
    ping: () => raw.ping(),
    info: async () => String(await raw.info()),
    close: () => {
      closed = true;
      for (const client of opened) if (client.isOpen) client.destroy();
    },
  };
}
