import { z } from 'zod';
import { SERVICES } from './setting-names.ts';

/** Edges of the network as values give them. Kubernetes drops a field that it does not know, and a rule without its `to` leads everywhere. */

export const port = z.int().min(1).max(65_535);
/** One schema for each service. */
export const each = <T extends z.ZodType>(schema: T) =>
  Object.fromEntries(SERVICES.map((name) => [name, schema])) as Record<(typeof SERVICES)[number], T>;

const selector = z.looseObject({});
const peer = z.union([
  z.strictObject({ podSelector: selector, namespaceSelector: selector.optional() }),
  z.strictObject({ namespaceSelector: selector }),
  z.strictObject({ ipBlock: z.strictObject({ cidr: z.string().min(1), except: z.array(z.string()).optional() }) }),
]);
const peers = z.array(peer);

const ports = z.array(
  z.strictObject({
    port: z.union([port, z.string().min(1)]),
    endPort: port.optional(),
    protocol: z.enum(['TCP', 'UDP', 'SCTP']).optional(),
  }),
);
const wayOut = z.union([
  z.strictObject({ to: peers.min(1), ports: ports.min(1).optional() }),
  z.strictObject({ ports: ports.min(1) }),
]);

export const networkPolicy = z.strictObject({
  enabled: z.boolean(),
  publicFrom: peers.describe('who may reach the public listeners: your ingress'),
  monitoringFrom: peers.describe('who may scrape'),
  // A rule to nobody is one to everybody.
  postgres: peers.min(1),
  redis: peers.min(1),
  dns: peers.min(1).describe('who resolves names: pods, or with a cache on each node an `ipBlock`'),
  apiFrom: z
    .strictObject(each(peers.min(1)))
    .partial()
    .describe(
      'service -> who may reach its api besides what the policy says: an identity provider that pushes its events',
    ),
  egress: z
    .strictObject({ all: z.array(wayOut), ...each(z.array(wayOut).optional()) })
    .describe('`all` or a service -> further rules: identity provider, KMS and STS, secret managers, buckets'),
});
