import { busAcl } from '@postern/bus';
import { startRedis, type Authority, type RedisServer } from '@postern/testing';
import { join } from 'node:path';

import { passwordFile } from './files.ts';
import { services, type Service } from './services.ts';
import { type Home } from './state.ts';

/** A service sees its own keys of the cache, and no administration. */
const cacheAcl = (service: Service) => `~${service}:* &${service}:* +@all -@admin -@dangerous`;

/** The cache and the bus, two instances, each with a user per service whose password lies in a file (R21). */
export async function openRedisPair(
  home: Home,
  authorities: { cache: Authority; bus: Authority },
  ports: { cache: number; bus: number },
): Promise<{ cache: RedisServer; bus: RedisServer; passwords: Record<Service, { cache: string; bus: string }> }> {
  const open = (kind: 'cache' | 'bus') =>
    startRedis({
      kind,
      folder: join(home.dir, `redis-${kind}`),
      authority: authorities[kind],
      adminPassword: passwordFile(home, `redis-${kind}-administrator`).password,
      preferredPort: ports[kind],
      users: services.map((service) => ({
        name: service,
        password: passwordFile(home, `redis-${kind}-${service}`).password,
        rules: kind === 'bus' ? busAcl(service) : cacheAcl(service),
      })),
    });
  const [cache, bus] = await Promise.all([open('cache'), open('bus')]);
  const pathsOf = (service: Service) => ({
    cache: passwordFile(home, `redis-cache-${service}`).path,
    bus: passwordFile(home, `redis-bus-${service}`).path,
  });
  const passwords = Object.fromEntries(services.map((service) => [service, pathsOf(service)]));
  return { cache, bus, passwords: passwords as Record<Service, { cache: string; bus: string }> };
}
