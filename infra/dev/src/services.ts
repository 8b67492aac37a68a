/** The five services, in the order in which their ports and lines are shown. */
export const services = ['token-exchange', 'audit-sink', 'crypto-store', 'auth-manager', 'key-proxy'] as const;
export type Service = (typeof services)[number];

export const isService = (name: string): name is Service => (services as readonly string[]).includes(name);

/** Everything that holds a workload certificate in the development world (R4). */
export const workloads = [
  ...services,
  'portal',
  'job',
  'operator',
  'identity-provider',
  'postgres',
  'redis-cache',
  'redis-bus',
] as const;
export type Workload = (typeof workloads)[number];

/** A name that belongs to development only; production refuses it (R6). */
export const TRUST_DOMAIN = 'dev.postern.internal';

export const spiffeId = (workload: Workload) => `spiffe://${TRUST_DOMAIN}/${workload}`;

/** Preferred loopback ports of the default home; a taken one is replaced. */
export const preferredPorts = {
  postgres: 15432,
  'redis-cache': 16379,
  'redis-bus': 16380,
  'identity-provider': 18443,
  ...(Object.fromEntries(
    services.flatMap((service, index) => [
      [`${service}-api`, 18500 + index * 10],
      [`${service}-public`, 18501 + index * 10],
      [`${service}-management`, 18502 + index * 10],
    ]),
  ) as Record<`${Service}-${'api' | 'public' | 'management'}`, number>),
};
type PortName = keyof typeof preferredPorts;

/** Any other home has ports of its own: two stacks that start at once do not reach for the same. */
export const anyPorts = Object.fromEntries(Object.keys(preferredPorts).map((name) => [name, 0])) as Record<
  PortName,
  number
>;
