import { z } from 'zod';
import { clientKey } from './client-key.ts';
import { quotas } from './tenant-quotas.ts';

const name = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/);
const client = z.string().regex(/^[\x21-\x7e]{1,128}$/);
const scopeName = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/);
const roleName = z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/);
const lifeSeconds = z.int().min(1).max(86_400);
const text = z.string().min(1).max(512);
const url = z.url().max(2_048);
const states = ['active', 'suspended'] as const;

const tenant = z.union([
  z.strictObject({
    id: z
      .string()
      .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/)
      .describe('as tokens and events have it'),
    issuer: url.optional().describe('the realm whose people belong to it'),
    state: z.enum(states),
    quotas: quotas.optional().describe('what it may use, by audience'),
  }),
  z
    .strictObject({
      prefix: z
        .string()
        .regex(/^[a-z0-9]{1,32}_$/)
        .describe('how their ids begin'),
      state: z.enum(states),
      quotas: quotas.optional().describe('what each of its tenants may use, by audience'),
    })
    .describe('a reserved namespace of tenants that a service creates by itself (`kp_`)'),
]);

const role = z.strictObject({
  name: roleName.describe('as tokens have it'),
  description: text.describe('for people'),
  includes: z.array(roleName).default([]).describe('roles that whoever has this one also has'),
});

export const scopeDecisions = ['auto_approve', 'role_required', 'admin_required', 'always_deny'] as const;
export type ScopeDecision = (typeof scopeDecisions)[number];
export const risks = ['low', 'medium', 'high', 'critical'] as const;

const scope = z
  .strictObject({
    name: scopeName.describe('as tokens have it'),
    description: text.describe('what it lets one do, for people who consent or approve'),
    audience: name.describe('the one target that understands it'),
    risk: z.enum(risks),
    role: roleName.optional().describe('the least role of the person it is granted for; absent: none is asked'),
    decision: z
      .enum(scopeDecisions)
      .describe('`admin_required` waits for an approval; `always_deny` is never granted by exchange'),
    longestLifeSeconds: lifeSeconds.describe('of a token that has it'),
    acr: z
      .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/))
      .min(1)
      .max(8)
      .optional()
      .describe('how strongly the person must have logged in: one of these classes (`acr`); absent: none is asked'),
    maxAgeSeconds: z.int().min(0).max(86_400).optional().describe('how long ago that login may be; absent: no limit'),
  })
  .refine(({ decision, role: least }) => decision !== 'role_required' || least !== undefined, {
    error: 'role_required needs a role',
    path: ['role'],
  });

const target = z.strictObject({
  audience: name.describe('the service, as `aud` has it'),
  description: text.describe('for people'),
  minter: z
    .enum(['postern', 'provider'])
    .describe('who issues its tokens: token-exchange itself, or the identity provider'),
  resources: z
    .array(url.refine((value) => !value.includes('#'), 'no fragment'))
    .max(16)
    .default([])
    .describe('addresses that mean this target in a request (`resource`, RFC 8707)'),
  longestLifeSeconds: lifeSeconds.describe('of a token for it'),
});

export const subjectKinds = ['provider-access', 'id-token', 'grant', 'postern-access'] as const;
export type SubjectKind = (typeof subjectKinds)[number];

const ask = z.strictObject({
  audience: name.describe('the target'),
  scopes: z.array(scopeName).min(1).describe('which of its scopes'),
  subjects: z
    .array(
      z.strictObject({
        kind: z.enum(subjectKinds),
        clients: z.array(client).min(1).describe('the clients (`azp`) that the subject token may have been issued to'),
        person: z.enum(['required', 'none']).describe('`none`: a workload that speaks for itself'),
      }),
    )
    .min(1),
  derivedFrom: z
    .record(scopeName, z.array(scopeName).min(1))
    .default({})
    .describe(
      'for a minted subject token: a scope of this audience follows from any of these scopes of the subject; every other scope must be in the subject itself',
    ),
});

const workload = z.strictObject({
  name: name.describe('as its certificate has it (CN)'),
  spiffeId: z
    .url({ protocol: /^spiffe$/ })
    .max(2_048)
    .describe('the one URI name of its certificate'),
  client: client.optional().describe('its OAuth client at the realm'),
  clientKeys: z
    .array(clientKey)
    .max(8)
    .default([])
    .describe('public keys of its assertions (`private_key_jwt`), for callers without a certificate'),
  clientSecrets: z
    .array(z.string().regex(/^pbkdf2-sha256\$\d{5,7}\$[\w-]{22}\$[\w-]{43}$/))
    .max(2)
    .default([])
    .describe('the low profile only: its client secret for HTTP Basic as `postern policy hash-secret` prints it'),
  state: z
    .enum(['active', 'compromised'])
    .default('active')
    .describe('a compromised one gets nothing, whatever it brings'),
  databaseRole: z.string().min(1).max(63).optional().describe('its role in Postgres'),
  redisUser: z.string().min(1).max(128).optional().describe('its user at the bus'),
  queues: z.array(z.string().min(1).max(128)).max(64).optional().describe('queues that it may use'),
  bearerSubjects: z
    .array(client)
    .default([])
    .describe('R8, the low profile only: clients whose unbound tokens this workload may exchange'),
  asks: z.array(ask).default([]),
});

const approvals = z
  .strictObject({
    issuer: url.describe('the one issuer whose people approve (R19)'),
    role: roleName.describe('what they must be'),
    acr: z.string().min(1).max(128).optional().describe('how strongly they must have logged in'),
    twoPersonsFrom: z.enum(risks).optional().describe('from this risk on, two different people approve'),
    rememberSeconds: z
      .int()
      .min(1)
      .max(86_400)
      .optional()
      .describe('how long an approval serves the same request again; absent: once'),
    expireSeconds: z.int().min(60).max(604_800).default(86_400).describe('how long a request waits'),
  })
  .describe('who decides about scopes that are `admin_required`; absent: nobody, and they are refused');

const emergency = z
  .strictObject({
    role: roleName.describe('what a person must be to ask'),
    lends: roleName.describe('the role that the token has beside the person’s own'),
    scopes: z
      .array(scopeName)
      .min(1)
      .max(64)
      .describe('what may be asked for, of targets whose tokens are minted here'),
    lifeSeconds: z.int().min(60).max(900).describe('the longest life of such a token'),
  })
  .describe(
    'breaking the glass: two other people approve each time, whatever `approvals` says; absent: there is no such way',
  );

/** What a person writes, each part by itself; what the parts say of each other is checked after it. */
export const documentShape = z.strictObject({
  $schema: z.string().max(2_048).optional().describe('for editors'),
  version: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/)
    .describe('written into every token’s record; change it with the file'),
  tenants: z.array(tenant).min(1),
  quotas: quotas.optional().describe('what every tenant may use that has no quotas of its own, by audience'),
  roles: z.array(role),
  targets: z.array(target).min(1),
  scopes: z.array(scope),
  workloads: z.array(workload),
  approvals: approvals.optional(),
  emergency: emergency.optional(),
});
