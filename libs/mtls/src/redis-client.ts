import { RedisClient, type RedisClientOptions } from '@redis/client';

/**
 * A node-redis client, not connected yet. `createClient` would define a class with every Redis command again for each
 * set of options, which costs a starting process milliseconds and megabytes; clients made here share one class.
 */
export const newRedisClient = (options: RedisClientOptions) => endedLate(RedisClient.factory({})(options));

type Ending = { readonly isOpen: boolean; destroy(): void; on(event: 'connect', listener: () => void): unknown };

/** Destroyed while it was connecting, a client of node-redis would connect all the same and stay: its socket is not its own before. */
export function endedLate<Client extends Ending>(client: Client): Client {
  client.on('connect', () => {
    if (!client.isOpen) client.destroy();
  });
  return client;
}
