import { policyJsonSchema } from '@postern/policy';
import { trustTable } from '@postern/oidc';
import { z } from 'zod';
import { each, networkPolicy, port } from './network-values.ts';

/** The chart's values: one schema, from which `values.schema.json` and the README's table are written. */

const host = z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'a host name');
const secretName = z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/);
const maybe = <T extends z.ZodType>(schema: T) => z.union([schema, z.literal('')]);
const httpsUrl = z.string().regex(/^https:\/\/[^\s#]+$/, 'an https URL');
/** As an issuer is compared, character by character: no path, no slash at its end, no capitals. */
const origin = z
  .string()
  .regex(/^https:\/\/[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9][0-9]{0,4})?$/, 'https://HOST or https://HOST:PORT');
const keyArn = z.string().regex(/^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)\/.+$/, 'the ARN of a KMS key');
const roleArn = z.string().regex(/^arn:aws[a-z-]*:iam::[0-9]{12}:role\/.+$/, 'the ARN of a role');
const duration = z.string().regex(/^[1-9][0-9]*(h|m)$/, 'hours or minutes: 72h');
const settingName = z.string().regex(/^(POSTERN|OTEL)_[A-Z0-9_]{1,60}$/, 'the name of a setting');
const labels = z.record(z.string().max(317), z.string().max(253));
/** Objects of Kubernetes that are passed on as they are: the API itself says what they may hold. */
const passedOn = z.looseObject({});
const quantities = z.strictObject({
  cpu: z.string().regex(/^[0-9]+(\.[0-9]+)?m?$/),
  memory: z.string().regex(/^[0-9]+(Ki|Mi|Gi)$/),
});
const resources = z.strictObject({ requests: quantities, limits: quantities });

const issuerRef = z.strictObject({ name: secretName, kind: z.enum(['Issuer', 'ClusterIssuer']), group: z.string() });
const ownIssuerRef = z.union([z.strictObject({}), issuerRef]);

const autoscaling = z.strictObject({
  enabled: z.boolean(),
  minReplicas: z.int().min(1).max(100),
  maxReplicas: z.int().min(1).max(100),
  targetCpuPercent: z.int().min(10).max(100),
  query: z
    .string()
    .max(1024)
    .describe(
      'with KEDA or `prometheusAdapter`: what waits, as PromQL; absent: an api half by its requests, a worker by CPU',
    ),
  threshold: z
    .string()
    .regex(/^[0-9]*$/)
    .describe('of that, for one replica'),
});

const half = z.strictObject({ replicas: z.int().min(1).max(100), autoscaling, resources });

const service = z.strictObject({
  enabled: z.boolean(),
  together: z.boolean().describe('one Deployment for both halves (`POSTERN_ROLE=all`), scaled as `api` says'),
  publicUrl: maybe(origin).describe('the origin that browsers and verifiers use; the issuer of its tokens'),
  awsRoleArn: maybe(roleArn).describe('the role that reaches its root key'),
  rootKeyArn: maybe(keyArn).describe('a root key of its own'),
  issuerRef: ownIssuerRef.describe('who signs its certificate, in place of `certificates.issuerRef`'),
  busIssuerRef: ownIssuerRef.describe('the same for the bus'),
  trust: z
    .union([z.strictObject({}), trustTable])
    .describe('its trust table (R1), in place of the one made from the values above'),
  documents: z
    .record(z.string().regex(/^[a-z][a-z0-9-]{0,40}\.json$/), passedOn)
    .describe('JSON files under `/run/postern/documents`, for settings that name one'),
  settings: z
    .record(settingName, z.union([z.string(), z.number(), z.boolean()]))
    .describe("further settings of the service's README"),
  settingsFromSecret: z
    .record(settingName, z.strictObject({ secret: secretName, key: z.string().min(1).max(253) }))
    .describe('settings whose value is in a Secret'),
  podLabels: labels,
  serviceAccountAnnotations: z.record(z.string(), z.string()).describe('workload identity of a cloud'),
  data: z
    .union([z.strictObject({}), z.strictObject({ claimName: secretName })])
    .describe('a volume at `/data`, never restored with the database: the list of R33 is there'),
  api: half,
  worker: half,
});

const redis = z.strictObject({
  host: host.describe('of the first sentinel, where `master` is named'),
  port,
  master: z
    .string()
    .regex(/^[A-Za-z0-9._-]{0,64}$/)
    .describe('the name that sentinels know it by; absent: no sentinels'),
  sentinels: z.array(z.string().regex(/^[a-z0-9.-]+:[0-9]{1,5}$/, 'HOST:PORT')).describe('the other sentinels'),
  masterPort: port.describe('where sentinels are asked: the port that they name the master by'),
});

export const chartValues = z.strictObject({
  global: passedOn.optional(),
  environment: z.enum(['production', 'development']).describe('R6: what may run'),
  profile: z.enum(['fedramp-low', 'fedramp-moderate', 'fedramp-high']),
  fips: z.boolean().nullish().describe('absent: on in fedramp-high'),
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
  trustDomain: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9.-]{0,253}[a-z0-9])?$/, 'required: the SPIFFE trust domain')
    .describe('required'),
  clusterDomain: host,
  priorityClassName: z.string(),
  nodeSelector: labels,
  tolerations: z.array(passedOn),
  image: z.strictObject({
    repository: z.string().min(1).describe('images are `<repository>/<service>`'),
    tag: z.string().describe("absent: the chart's appVersion"),
    digests: z
      .strictObject(each(z.string().regex(/^sha256:[0-9a-f]{64}$/)))
      .partial()
      .describe('service -> digest, in place of the tag'),
    pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']),
    pullSecrets: z.array(z.strictObject({ name: secretName })),
  }),
  identityProvider: z.strictObject({
    issuer: httpsUrl.describe('required: exactly the `iss` of the realm'),
    authority: z
      .enum(['services', 'public'])
      .describe('who vouches for its servers: the authority of services, or one that browsers know too (ADR-0095)'),
    jwksUri: maybe(httpsUrl).describe("absent: Keycloak's path under the issuer"),
    tenant: z
      .string()
      .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/)
      .describe('required: the one tenant of that realm (R1)'),
    algorithms: z.array(z.enum(['ES256', 'ES384', 'PS256', 'PS384', 'EdDSA', 'RS256'])).min(1),
  }),
  policy: z
    .looseObject({ version: z.string(), workloads: z.array(passedOn) })
    .describe('required: the policy document, from which the edges of the network are made'),
  workloads: z
    .record(z.string(), z.strictObject({ namespace: z.string().optional(), podLabels: labels.optional() }))
    .describe('where callers run; absent: this namespace, label `postern.dev/workload: <name>`'),
  certificates: z.strictObject({
    source: z
      .enum(['cert-manager', 'secrets'])
      .describe('`secrets`: `<release>-<service>-tls` and `-bus-tls` are yours'),
    issuerRef: issuerRef.describe('who signs the certificates of services (R4)'),
    busIssuerRef: issuerRef.describe('who signs those for the bus (R21)'),
    duration,
    renewBefore: duration.describe('R12: longer than a connection and a token live'),
  }),
  postgres: z.strictObject({ host, port, poolSize: z.int().min(3).max(200) }),
  redis: z.strictObject({
    cache: redis,
    bus: redis.describe('its own instance: `noeviction`, AOF'),
    passwordsSecret: secretName.describe('keys `<service>-bus`, `crypto-store-cache`, `key-proxy-cache`'),
  }),
  rootKey: z.strictObject({
    kind: z.enum(['aws-kms', 'local']),
    arn: maybe(keyArn).describe('of the KMS key of every service that has no `rootKeyArn`'),
    tokenAudience: z
      .string()
      .min(1)
      .describe("`aud` of the services' projected tokens, as the role's trust condition has it"),
    secret: maybe(secretName).describe('with `local`: the Secret with `root-key.json`'),
    waiver: maybe(z.iso.date()).describe('with `local` in production: until when (R6)'),
  }),
  audit: z.strictObject({
    origin: z.string().max(127).describe("the log's name, never changed; absent: the trust domain, then `/audit`"),
    logKey: z.string().max(1024).describe("the log's verifier key, pinned (R27)"),
    publishTo: z
      .string()
      .regex(/^(|file:\/\/\/[^?#]+|s3:\/\/[a-z0-9][a-z0-9.-]{1,62}(\/[A-Za-z0-9/_.-]*)?\?region=[a-z0-9-]+)$/)
      .describe('where checkpoints go (R27); required above fedramp-low'),
  }),
  telemetry: z.strictObject({
    otlpEndpoint: maybe(z.string().regex(/^https?:\/\//)),
    sampling: z.number().min(0).max(1),
  }),
  migrations: z.strictObject({ deadlineSeconds: z.int().min(30).max(86_400), resources }),
  networkPolicy,
  podMonitor: z.strictObject({ enabled: z.boolean(), labels }),
  keda: z.strictObject({
    enabled: z.boolean(),
    prometheusAddress: maybe(z.string().regex(/^https?:\/\//)),
    requestsPerSecond: z
      .int()
      .min(1)
      .max(100_000)
      .describe("an api replica's share, where its half names no query; with `prometheusAdapter` too"),
  }),
  prometheusAdapter: z.strictObject({
    enabled: z
      .boolean()
      .describe(
        'in place of KEDA: the same queries as external metrics; its own chart takes `<release>-scaled-by` as `rules.existing`',
      ),
    namespace: maybe(secretName).describe("where the adapter runs; absent: the release's"),
  }),
  services: z.strictObject(each(service)),
});

/** The document that Helm checks values against. The policy is checked by the schema that everything else checks it by. */
export function valuesJsonSchema(): object {
  const schema = z.toJSONSchema(chartValues, { target: 'draft-7', io: 'input', reused: 'ref' }) as Record<
    string,
    unknown
  >;
  const { $schema: _, ...policy } = policyJsonSchema() as Record<string, unknown>;
  const properties = schema['properties'] as Record<string, unknown>;
  const described = (properties['policy'] as { description: string }).description;
  return { ...schema, properties: { ...properties, policy: { ...policy, description: described } } };
}
