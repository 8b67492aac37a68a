import { type BalancedFront, type Balancer } from '@postern/testing';

import { issuers } from '../environment.ts';
import { choosePorts } from '../ports.ts';
import { migrate, ready, startService, type ServiceProcess } from '../service-process.ts';
import { services, type Service } from '../services.ts';
import { type Home, type Urls } from '../state.ts';

/** One replica of a service: `crypto-store-2`, on ports of its own. */
export type Place = { name: string; service: Service; ports: Record<Listener, number> };

type Listener = 'api' | 'public' | 'management';
const listeners = ['api', 'public', 'management'] as const;

/** Free ports for so many replicas of each service. */
export async function choosePlaces(replicas: Record<Service, number>): Promise<Place[]> {
  const named = services.flatMap((service) =>
    Array.from({ length: replicas[service] }, (_, at) => ({ service, name: `${service}-${at + 1}` })),
  );
  const wanted = named.flatMap(({ name }) => listeners.map((listener) => [`${name} ${listener}`, 0] as const));
  const { ports } = await choosePorts<string>(Object.fromEntries(wanted));
  const portOf = (name: string, listener: Listener) => ports[`${name} ${listener}`] ?? 0;
  return named.map((each) => ({
    ...each,
    ports: {
      api: portOf(each.name, 'api'),
      public: portOf(each.name, 'public'),
      management: portOf(each.name, 'management'),
    },
  }));
}

/** What of a service's environment is a replica's own. */
export const portsOf = ({ ports }: Place): Record<string, string> => ({
  POSTERN_API_PORT: String(ports.api),
  POSTERN_PUBLIC_PORT: String(ports.public),
  POSTERN_MANAGEMENT_PORT: String(ports.management),
});

/**
 * The addresses that everybody knows, each with the replicas behind it that are ready; and those of the issuers' peers, with
 * all of them: a replica is not ready before it has read the others' revocations (R14), so that one of two that wait for
 * each other must answer before it is.
 */
export function frontsOf(
  places: readonly Place[],
  urls: Record<Service, Urls>,
  peerPorts: Record<string, number>,
): BalancedFront[] {
  const serversOf = (service: Service, listener: 'api' | 'public') =>
    places
      .filter((place) => place.service === service)
      .map(({ name, ports }) => ({ name, port: ports[listener], readyPort: ports.management }));
  const front = (service: Service, listener: 'api' | 'public'): BalancedFront => ({
    name: `${service}-${listener}`,
    port: Number(new URL(urls[service][listener]).port),
    servers: serversOf(service, listener),
  });
  const peers = (service: Service): BalancedFront => ({
    name: `${service}-peers`,
    port: peerPorts[service] ?? 0,
    servers: serversOf(service, 'api').map(({ name, port }) => ({ name, port })),
  });
  const issuing = services.filter((service) => issuers.has(service));
  return [
    ...services.map((service) => front(service, 'api')),
    ...issuing.map((service) => front(service, 'public')),
    ...issuing.map(peers),
  ];
}

export type Fleet = {
  places: readonly Place[];
  of(service: Service): Place[];
  pids(service: Service): number[];
  /** SIGTERM, then a new process on the same ports; resolves when the balancer sends to it. */
  restart(place: Place): Promise<void>;
  /** kill -9, then the same. */
  crash(place: Place): Promise<void>;
  /** SIGTERM; resolves when the process has ended. */
  stop(place: Place): Promise<void>;
  start(place: Place): Promise<void>;
  /** Runs this checkout's migrations of a service; what is started of it from now on is this checkout's. */
  upgrade(service: Service): Promise<void>;
  /** Rejects when a replica ends by itself. */
  failed: Promise<never>;
  close(): Promise<void>;
};

/** The replicas as processes. `running` are those that somebody has started already. */
export async function openFleet(at: {
  home: Home;
  places: readonly Place[];
  balancer: Balancer;
  environmentOf(service: Service): Record<string, string>;
  running: Record<string, ServiceProcess>;
  /** Of the release that runs until `upgrade`. */
  sources?: string;
}): Promise<Fleet> {
  const { home, places, balancer } = at;
  const upgraded = new Set<Service>();
  const processes = new Map(Object.entries(at.running));
  let fail: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_, reject) => (fail = reject));
  failed.catch(() => {});

  async function start(place: Place): Promise<void> {
    const { name, service } = place;
    const env = { ...at.environmentOf(service), ...portsOf(place) };
    const before = at.sources === undefined || upgraded.has(service) ? {} : { sources: at.sources };
    const running = startService({ service, home, env, replica: name, ...before });
    processes.set(name, running);
    running.ended.catch(fail);
    const origin = (listener: Listener, scheme: string) => `${scheme}://127.0.0.1:${place.ports[listener]}`;
    await ready(running, {
      api: origin('api', 'https'),
      public: origin('public', 'https'),
      management: origin('management', 'http'),
    });
    await balancer.untilUp(name);
  }
  const stop = async ({ name }: Place) => processes.get(name)?.stop();

  const fleet: Fleet = {
    places,
    of: (service) => places.filter((place) => place.service === service),
    pids: (service) =>
      places.flatMap((place) => (place.service === service ? [processes.get(place.name)?.pid ?? 0] : [])),
    async restart(place) {
      await stop(place);
      await start(place);
    },
    async crash(place) {
      await processes.get(place.name)?.kill();
      await start(place);
    },
    stop,
    start,
    async upgrade(service) {
      await migrate({ service, home, env: at.environmentOf(service) });
      upgraded.add(service);
    },
    failed,
    close: async () => void (await Promise.all([...processes.values()].map((each) => each.stop()))),
  };
  try {
    await Promise.all(places.filter(({ name }) => !processes.has(name)).map(start));
    return fleet;
  } catch (error) {
    await fleet.close();
    throw error;
  }
}
