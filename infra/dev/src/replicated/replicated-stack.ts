import { type TrustTable } from '@postern/oidc';
import { startBalancer, type Balancer } from '@postern/testing';
import { readFileSync } from 'node:fs';

import { type Authorities } from '../certificates.ts';
import { writeJson } from '../files.ts';
import { choosePorts } from '../ports.ts';
import { type Step } from '../progress.ts';
import { openReplicatedPair, type ReplicatedPair } from '../redis.ts';
import { services, type Service } from '../services.ts';
import { startStack, type Stack } from '../stack.ts';
import { type Home, type Urls } from '../state.ts';
import { choosePlaces, frontsOf, openFleet, portsOf, type Fleet } from './fleet.ts';

export type ReplicatedStack = {
  /** The stack; its addresses are the balancer's. */
  stack: Stack;
  fleet: Fleet;
  balancer: Balancer;
  /** What the services use in place of the stack's own two. */
  redis: ReplicatedPair;
  close(): Promise<void>;
};

type Options = {
  home: Home;
  replicas: Record<Service, number>;
  authorities?: Authorities;
  /** The checkout of the release that runs until `fleet.upgrade`; this one unless given. */
  sources?: string;
  step: Step;
};

/**
 * Everything as it runs on several machines, on this one: several replicas of a service behind HAProxy, which passes TLS
 * through, and a cache and a bus of three Redis nodes under three sentinels each. One Postgres, one identity provider.
 */
export async function startReplicatedStack({
  home,
  replicas,
  authorities,
  sources,
  step,
}: Options): Promise<ReplicatedStack> {
  const closing: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const end of closing.splice(0).reverse()) await end();
  };
  try {
    const places = await choosePlaces(replicas);
    const firstOf = (service: Service) => places.find((place) => place.service === service)!;
    let balancer: Balancer | undefined;
    let redis: ReplicatedPair | undefined;
    const stack = await startStack({
      home,
      idp: 'development',
      step,
      ...(authorities === undefined ? {} : { authorities }),
      ...(sources === undefined ? {} : { sources }),
      settings: async ({ certificates, urls }) => {
        const { authority: cache, busAuthority: bus } = certificates;
        const pair = await openReplicatedPair(home, { cache, bus });
        redis = pair;
        closing.push(pair.cache.close, pair.bus.close);
        // The stack waits there for the process that it starts itself: the first replica.
        for (const service of services)
          firstOf(service).ports.management = Number(new URL(urls[service].management).port);
        // Where one process would listen, the balancer does: nobody has to be told of the replicas.
        const { ports: peerPorts } = await choosePorts(noPreference);
        balancer = await startBalancer({
          folder: home.place('balancer', '.'),
          fronts: frontsOf(places, urls, peerPorts),
        });
        closing.push(balancer.close);
        const own = (service: Service) => ({
          ...portsOf(firstOf(service)),
          POSTERN_TRUST_PATH: trustAtPeers(home, service, urls, peerPorts),
          POSTERN_CACHE_URL: pair.cache.urlFor(service),
          POSTERN_BUS_URL: pair.bus.urlFor(service),
        });
        return Object.fromEntries(services.map((service) => [service, own(service)]));
      },
    });
    closing.push(stack.close);
    const fleet = await openFleet({
      home,
      places,
      balancer: balancer!,
      environmentOf: stack.environmentOf,
      ...(sources === undefined ? {} : { sources }),
      running: Object.fromEntries(services.map((service) => [firstOf(service).name, stack.processes[service]])),
    });
    closing.push(fleet.close);
    return { stack, fleet, balancer: balancer!, redis: redis!, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const noPreference = Object.fromEntries(services.map((service) => [service, 0])) as Record<Service, number>;

/** A service's trust table, but revocations are read from whoever answers, ready or not. */
function trustAtPeers(
  home: Home,
  service: Service,
  urls: Record<Service, Urls>,
  peerPorts: Record<Service, number>,
): string {
  const table = JSON.parse(readFileSync(home.place('trust', `${service}.json`), 'utf8')) as TrustTable;
  const atPeer = (address: string) => {
    const issuer = services.find((each) => urls[each].api === new URL(address).origin);
    return issuer === undefined ? address : address.replace(urls[issuer].api, `https://127.0.0.1:${peerPorts[issuer]}`);
  };
  const revocations = (table.revocations ?? []).map((each) => ({
    ...each,
    uri: atPeer(each.uri),
    jwksUri: atPeer(each.jwksUri),
  }));
  return writeJson(home, `trust/${service}-at-peers.json`, { ...table, revocations });
}
