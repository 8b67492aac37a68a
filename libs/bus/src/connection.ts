import { createNodeRedisClient } from 'bullmq';
import { createClient } from 'redis';
import { redisTls, type TlsMaterial } from '@postern/mtls';
import type { Logger } from '@postern/runtime';

export type BusOptions = {
  /** `rediss://user@host:port`. */
  url: string;
  password?: string | undefined;
  /** Material of the bus's own CA (R21). */
  tls: TlsMaterial;
  /** This service: its queues lie under its prefix. */
  service: string;
  logger: Logger;
  /** The name the server's certificate must carry. Default: the host of the URL. */
  servername?: string;
};

export type Connection = ReturnType<typeof openConnection>;

/**
 * One node-redis client, shared by queues and workers (which duplicate it for their blocking reads). node-redis keeps its
 * certificate for life, so a rotation opens a new one. BullMQ does not close a client that it was given: `close` does.
 */
export function openConnection({ url, password, tls, service, logger, servername }: BusOptions) {
  const { hostname, port, username, pathname } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const raw = createClient({
    username: decodeURIComponent(username),
    ...(password === undefined ? {} : { password }),
    name: service,
    database: Number(pathname.slice(1) || 0),
    socket: {
      host,
      port: Number(port || 6379),
      connectTimeout: 5_000,
      reconnectStrategy: (attempts: number) => Math.min(50 * 2 ** attempts, 2_000),
      ...redisTls(tls, servername ?? host),
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
  return {
    client: createNodeRedisClient(raw),
    ping: () => raw.ping(),
    close: () => {
      if (raw.isOpen) raw.destroy();
    },
  };
}
