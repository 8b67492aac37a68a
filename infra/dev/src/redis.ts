import { busAcl } from '@postern/bus';
import {
  startRedis,
  startReplicatedRedis,
  type Authority,
  type RedisServer,
  type ReplicatedRedis,
} from '@postern/testing';
import { join } from 'node:path';

import { passwordFile } from './files.ts';
import { services, type Service } from './services.ts';
import { type Home } from './state.ts';

/** A service sees its own keys of the cache, and no administration. */
const cacheAcl = (service: Service) => `~${service}:* &${service}:* +@all -@admin -@dangerous`;

type Kind = 'cache' | 'bus';
type Authorities = Record<Kind, Authority>;

/** What both kinds of server are started with: a folder, a CA, and a user per service whose password lies in a file (R21). */
const optionsOf = (home: Home, authorities: Authorities, kind: Kind, folder: string) => ({
  kind,
  folder: join(home.dir, folder),
  authority: authorities[kind],
  adminPassword: passwordFile(home, `redis-${kind}-administrator`).password,
  users: services.map((service) => ({
    name: service,
    password: passwordFile(home, `redis-${kind}-${service}`).password,
    rules: kind === 'bus' ? busAcl(service) : cacheAcl(service),
  })),
});

/** The cache and the bus, two instances. */
export async function openRedisPair(
  home: Home,
  authorities: Authorities,
  ports: Record<Kind, number>,
): Promise<{ cache: RedisServer; bus: RedisServer; passwords: Record<Service, { cache: string; bus: string }> }> {
  const open = (kind: Kind) =>
    startRedis({ ...optionsOf(home, authorities, kind, `redis-${kind}`), preferredPort: ports[kind] });
  const [cache, bus] = await Promise.all([open('cache'), open('bus')]);
  const pathsOf = (service: Service) => ({
    cache: passwordFile(home, `redis-cache-${service}`).path,
    bus: passwordFile(home, `redis-bus-${service}`).path,
  });
  const passwords = Object.fromEntries(services.map((service) => [service, pathsOf(service)]));
  return { cache, bus, passwords: passwords as Record<Service, { cache: string; bus: string }> };
}

export type ReplicatedPair = Record<Kind, ReplicatedRedis>;

/** The same two with the same users and passwords, each as three nodes under three sentinels. */
export async function openReplicatedPair(home: Home, authorities: Authorities): Promise<ReplicatedPair> {
  const open = (kind: Kind) =>
    startReplicatedRedis({ ...optionsOf(home, authorities, kind, `redis-${kind}-set`), nodes: 3 });
  const [cache, bus] = await Promise.all([open('cache'), open('bus')]);
  return { cache, bus };
}
