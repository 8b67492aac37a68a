import { tenantId } from '@postern/oidc';
import { path } from '@postern/runtime';
import { z } from 'zod';

const realm = z
  .strictObject({
    /** `https://host/realms/NAME`, as its tokens name it. */
    issuer: z.url({ protocol: /^https$/ }).regex(/\/realms\/[A-Za-z0-9._-]{1,128}$/),
    /** The tenant that the realm's events belong to: fixed, as for its tokens (R1). */
    tenant: tenantId,
    /** Without it, events of this realm only come by the push route. */
    poll: z
      .strictObject({
        /** A confidential client with `private_key_jwt` (ES256), whose service account has `view-events`. */
        clientId: z.string().min(1).max(255).default('audit-sink'),
        /** A private P-256 JWK. */
        keyPath: path,
        everySeconds: z.int().min(1).max(3_600).default(10),
        /** How long after its time an event may still appear: servers' clocks apart, transactions under way. */
        lookBackSeconds: z.int().min(1).max(3_600).default(60),
      })
      .optional(),
  })
  .transform((one) => ({ ...one, name: one.issuer.slice(one.issuer.lastIndexOf('/') + 1) }));

/** The document at `POSTERN_SOURCES_PATH`: where events come from besides the bus. */
export const sourcesDocument = z.strictObject({
  keycloak: z.strictObject({
    realms: z
      .array(realm)
      .min(1)
      .max(64)
      .refine((realms) => new Set(realms.map(({ name }) => name)).size === realms.length, 'a realm is named twice'),
    /** Workloads whose certificate may push events of these realms. None: there is no push route. */
    pushers: z.array(z.string().min(1).max(64)).max(8).default([]),
    /** PEM of the authorities that vouch for the provider. Default: the CA of the workloads. */
    caPath: path.optional(),
  }),
});

export type SourcesConfig = z.output<typeof sourcesDocument>;
export type KeycloakRealm = SourcesConfig['keycloak']['realms'][number];
