import { z } from 'zod';

import {
  hostname,
  httpsUrl,
  localPath,
  path,
  roleName,
  roleReference,
  scopeName,
  secretReference,
  text,
} from '../names.ts';
import { realmOptions } from '../realm-options.ts';

type Schemas = { [Name in keyof typeof realmOptions]: z.ZodOptional<(typeof realmOptions)[Name]['schema']> };

const overrides = z
  .strictObject({
    ...(Object.fromEntries(
      Object.entries(realmOptions).map(([key, { schema, about, control }]) => [
        key,
        (schema as z.ZodType).optional().describe(about).meta({ control }),
      ]),
    ) as Schemas),
    mfa_methods: z
      .array(z.enum(['totp', 'webauthn', 'sms']))
      .min(1)
      .optional()
      .meta({ control: 'IA-2(1)' }),
  })
  .prefault({});

const scope = z.strictObject({
  description: text,
  audience: z.string().min(1).max(128).optional().describe('the client that a token with this scope is also meant for'),
  roles: z
    .array(roleReference)
    .max(64)
    .default([])
    .describe('only who has one of these gets it')
    .meta({ control: 'AC-6' }),
  in_token: z.boolean().default(true),
});

const dn = z
  .string()
  .regex(/^[A-Za-z]+=[A-Za-z0-9._ -]+(,[A-Za-z]+=[A-Za-z0-9._ -]+)*$/)
  .meta({ allowed: 'a distinguished name as ou=people,dc=example,dc=com' });

const ldap = z.strictObject({
  url: z
    .string()
    .regex(/^ldaps:\/\/[a-z0-9.-]{1,253}(:\d{1,5})?$/)
    .meta({ allowed: 'ldaps://HOST[:PORT]', control: 'SC-8' }),
  vendor: z.enum(['ad', 'rhds', 'other']).default('other'),
  users_dn: dn,
  bind_dn: dn,
  bind_credential: secretReference,
  username_attribute: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9-]{0,62}$/)
    .default('uid'),
});

const oidc = z.strictObject({
  issuer: httpsUrl.meta({ control: 'IA-8' }),
  client_id: z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/),
  client_secret: secretReference,
});

const saml = z.strictObject({
  entity_id: httpsUrl.meta({ control: 'IA-8' }),
  sign_on_url: httpsUrl,
  certificate: z
    .string()
    .regex(/^[A-Za-z0-9+/=]{64,8192}$/)
    .meta({ allowed: "the provider's signing certificate, base64 of its DER" }),
});

const alias = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/);
const federation = z
  .strictObject({
    ldap: z.record(alias, ldap).default({}),
    oidc: z.record(alias, oidc).default({}),
    saml: z.record(alias, saml).default({}),
  })
  .prefault({})
  .meta({ control: 'IA-8' });

export const realm = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,61}[a-z0-9]$/)
    .optional()
    .describe('the name of the table unless given'),
  display_name: text.optional(),
  policy: localPath
    .optional()
    .describe('the policy document (JSON) whose roles, scopes and workloads this realm serves'),
  logout_url: httpsUrl
    .optional()
    .describe("R15: auth-manager's back-channel logout address")
    .meta({ control: 'AC-12' }),
  administrators: z
    .array(roleReference)
    .max(32)
    .default(['realm-management/realm-admin'])
    .describe('roles whose holders always need a second factor')
    .meta({ control: 'IA-2(1)' }),
  trusted_issuer_dn: dn
    .default('CN=Postern workloads')
    .describe('subject of the CA that issues client certificates')
    .meta({ control: 'IA-9' }),
  blocked_passwords: path
    .optional()
    .describe("a list of breached passwords on the server, in Keycloak's folder data/password-blacklists")
    .meta({ control: 'IA-5(1)' }),
  roles: z.array(roleName).max(256).default([]),
  scope: z.record(scopeName, scope).default({}),
  theme: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/)
    .optional()
    .describe('a login theme that the server has'),
  hostname: hostname.optional(),
  federation,
  overrides,
});

export type RealmTable = z.output<typeof realm>;
