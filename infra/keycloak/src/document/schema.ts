import { profileNames } from '@postern/profile';
import { z } from 'zod';

import { eventTypes } from '../realm/server-ids.ts';
import { client } from './schema/client.ts';
import { address, databaseName, date, hostname, httpsUrl, name, path, port, text, webUrl } from './names.ts';
import { realm } from './schema/realm.ts';
import { keycloakSecrets, secrets } from './schema/secrets.ts';

const app = z.strictObject({
  name,
  profile: z.enum(profileNames).default('fedramp-moderate').meta({ control: 'CM-6' }),
});

const database = z
  .strictObject({
    host: hostname.default('localhost'),
    port: port.default(5432),
    name: databaseName.default('keycloak'),
    username: databaseName.default('keycloak'),
    username_file: path
      .optional()
      .describe('the role of the moment, written there by a Vault agent or by `keycloak database rotate-password`'),
    password_file: path.optional(),
    require_ssl: z.boolean().default(true).meta({ control: 'SC-8' }),
    enable_client_cert: z.boolean().default(false).meta({ control: 'IA-3' }),
    client_certificate_file: path.optional().meta({ control: 'IA-3' }),
    client_key_file: path.optional(),
    ca_file: path.optional(),
  })
  .prefault({});

const tls = z
  .strictObject({
    certificate_file: path.default('/var/lib/vault-pki/keycloak-cert.pem'),
    key_file: path.default('/var/lib/vault-pki/keycloak-key.pem'),
    ca_file: path.default('/var/lib/vault-pki/ca-cert.pem'),
    enable_mtls: z.boolean().default(true).meta({ control: 'SC-8' }),
  })
  .prefault({});

const clustering = z
  .strictObject({
    enable: z.boolean().default(false),
    nodes: z.array(hostname).max(64).default([]),
    jgroups_bind_addr: address.default('0.0.0.0'),
    discovery: z.enum(['jdbc-ping', 'tcp']).default('jdbc-ping'),
    owners: z.int().min(1).max(8).default(2).describe('copies of each session cache entry'),
    sticky_routes: z.boolean().default(true),
  })
  .prefault({});

const defaultEvents = [
  'LOGIN',
  'LOGIN_ERROR',
  'LOGOUT',
  'REGISTER',
  'UPDATE_PASSWORD',
  'UPDATE_PROFILE',
  'FEDERATED_IDENTITY_LINK',
  'REMOVE_FEDERATED_IDENTITY',
] as const;

const observability = z
  .strictObject({
    enable: z.boolean().default(true).meta({ control: 'AU-2' }),
    loki_endpoint: webUrl.optional(),
    otlp_endpoint: webUrl.optional(),
    audit_events: z
      .array(z.enum(eventTypes))
      .min(1)
      .default([...defaultEvents])
      .meta({ control: 'AU-2' }),
  })
  .prefault({});

const admin = z
  .strictObject({
    username: z
      .string()
      .regex(/^[a-z][a-z0-9._-]{0,62}$/)
      .default('admin')
      .meta({ allowed: 'lower-case letters, digits, ., _ and -' }),
    password_file: path.optional().meta({ control: 'IA-5' }),
    allowed_networks: z
      .array(z.string().regex(/^[0-9a-f.:]{2,45}\/\d{1,3}$/))
      .max(64)
      .default([])
      .meta({ allowed: 'networks as 10.0.0.0/8', control: 'SC-7' }),
  })
  .prefault({});

const resources = z
  .strictObject({
    heap_size: z
      .string()
      .regex(/^[1-9]\d{0,5}[mg]$/)
      .default('2g')
      .meta({ allowed: 'a size as 512m or 2g' }),
    max_connections: z.int().min(1).max(10_000).default(100),
  })
  .prefault({});

const keycloak = z.strictObject({
  enable: z.boolean().default(true),
  deployment_mode: z.enum(['embedded', 'dedicated', 'cluster']).default('dedicated'),
  tenancy: z
    .enum(['realm-per-app', 'shared-realm'])
    .default('realm-per-app')
    .describe('one realm an app, or one realm that the clients of several apps share')
    .meta({ control: 'AC-3' }),
  hostname: hostname.optional(),
  fips_mode: z.boolean().default(true).meta({ control: 'SC-13' }),
  listen_address: address.default('0.0.0.0'),
  port: port.default(8443),
  security: z
    .strictObject({
      provider: z.enum(['bouncycastle-fips', 'aws-lc-fips']).default('bouncycastle-fips').meta({ control: 'SC-13' }),
    })
    .prefault({}),
  database,
  tls,
  clustering,
  observability,
  admin,
  resources,
  secrets: keycloakSecrets.optional(),
  realm: z.record(name, realm).default({}),
  client: z.record(name, client).default({}),
});

const auth = z
  .strictObject({
    issuer_url: httpsUrl.meta({ control: 'IA-8' }),
    client_id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/),
    jwks_uri: httpsUrl.optional(),
    client_cert_path: path.optional(),
    client_key_path: path.optional(),
  })
  .describe('an identity provider that another document deploys');

const waiver = z
  .strictObject({
    key: z.string().min(3).max(512).describe('the dotted path of the key that may be weaker'),
    reason: text.describe('why, in a sentence that an assessor understands'),
    approved_by: text,
    expires: date,
  })
  .meta({ control: 'CA-5' });

/** `postern.toml`, as a person writes it. */
export const documentShape = z.strictObject({
  app,
  keycloak: keycloak.optional(),
  secrets: secrets.optional(),
  auth: auth.optional(),
  waiver: z.array(waiver).max(64).default([]),
});

export type Document = z.output<typeof documentShape>;
export type KeycloakTable = NonNullable<Document['keycloak']>;

/** The published JSON Schema (2020-12) for editors: defaults need not be written. */
export const documentJsonSchema = (): Record<string, unknown> => ({
  title: 'postern.toml',
  ...z.toJSONSchema(documentShape, { io: 'input', unrepresentable: 'any' }),
});
