/** The trust domain of development. Production refuses it (R6). */
export const DEVELOPMENT_TRUST_DOMAIN = 'dev.postern.internal';

/** Every workload of the development world. */
export const WORKLOADS = [
  'portal',
  'job',
  'operator',
  'auth-manager',
  'crypto-store',
  'key-proxy',
  'token-exchange',
  'audit-sink',
  'identity-provider',
  'postgres',
  'redis-cache',
  'redis-bus',
] as const;

export const spiffeIdOf = (workload: string): string => `spiffe://${DEVELOPMENT_TRUST_DOMAIN}/${workload}`;
