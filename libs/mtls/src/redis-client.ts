import { RedisClient, type RedisClientOptions } from '@redis/client';

/**
 * A node-redis client, not connected yet. `createClient` would define a class with every Redis command again for each
 * set of options, which costs a starting process milliseconds and megabytes; clients made here share one class.
 */
export const newRedisClient = (options: RedisClientOptions) => RedisClient.factory({})(options);
