import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The development policy moved to a trust domain of production: workloads portal, job and key-proxy. */
export const policyUnder = (trustDomain: string): object =>
  JSON.parse(
    readFileSync(join(import.meta.dirname, '../../dev/policy.json'), 'utf8').replaceAll(
      'dev.postern.internal',
      trustDomain,
    ),
  ) as object;

const policy = policyUnder('postern.example.com');
const off = { enabled: false };
const local = (audit: object): object => ({ audit, rootKey: { kind: 'local', secret: 'k', waiver: '2999-01-31' } });
const egress = (rule: object): object => ({ networkPolicy: { egress: { 'key-proxy': [rule] } } });
const publicUrl = (url: string): object => ({ services: { 'token-exchange': { publicUrl: url } } });

/** Values that the chart is rendered with: files of examples/, then further values. */
export const matrix: [name: string, files: string[], values: object][] = [
  ['production', ['production.yaml'], { policy }],
  ['development', ['development.yaml'], { policy: policyUnder('dev.postern.internal') }],
  [
    'high, scaled through prometheus-adapter',
    ['production.yaml'],
    {
      policy,
      profile: 'fedramp-high',
      fips: true,
      prometheusAdapter: { enabled: true, namespace: 'monitoring' },
      services: {
        'key-proxy': { together: true },
        'crypto-store': {
          worker: {
            autoscaling: { enabled: true, query: `max(postern_bus_queue_jobs)`, threshold: '100' },
          },
        },
      },
    },
  ],
  [
    'low, without publication, the identity provider of a public authority',
    ['production.yaml'],
    { policy, profile: 'fedramp-low', audit: { publishTo: '' }, identityProvider: { authority: 'public' } },
  ],
  [
    'certificates and scaling of others, sentinels',
    ['production.yaml', 'sentinels.yaml'],
    {
      policy,
      certificates: { source: 'secrets' },
      keda: { enabled: true, prometheusAddress: 'http://prometheus.monitoring:9090' },
      podMonitor: { enabled: true, labels: { release: 'prometheus' } },
      telemetry: { otlpEndpoint: 'http://collector.monitoring:4318' },
      image: { digests: { 'crypto-store': `sha256:${'a'.repeat(64)}` }, pullSecrets: [{ name: 'registry' }] },
    },
  ],
  [
    'token-exchange and crypto-store alone',
    ['production.yaml'],
    { policy, services: { 'auth-manager': off, 'key-proxy': off }, networkPolicy: { enabled: false } },
  ],
  [
    'a waiver for the local root key, files and secrets of a service',
    ['production.yaml'],
    {
      policy,
      rootKey: { kind: 'local', secret: 'root-key', waiver: '2999-01-31' },
      audit: { publishTo: 'file:///data/log' },
      priorityClassName: 'system-cluster-critical',
      nodeSelector: { pool: 'postern' },
      tolerations: [{ key: 'postern', operator: 'Exists' }],
      services: {
        'crypto-store': { data: { claimName: 'crypto-store' } },
        'audit-sink': {
          data: { claimName: 'audit-log' },
          documents: { 'forwarders.json': { forwarders: [] } },
          settings: { POSTERN_LOG_LEVEL: 'debug' },
          settingsFromSecret: { OTEL_EXPORTER_OTLP_HEADERS: { secret: 'collector', key: 'headers' } },
          podLabels: { team: 'platform' },
          serviceAccountAnnotations: { 'iam.gke.io/gcp-service-account': 'postern@example.iam.gserviceaccount.com' },
        },
      },
    },
  ],
];

/** Values that are refused, each with what the refusal names. */
export const refused: [what: string, values: object, names: RegExp][] = [
  ['no policy', { policy: {} }, /policy/],
  ['an unknown value', { replicas: 3 }, /replicas/],
  ['an unknown profile', { profile: 'fedramp-medium' }, /profile[^]*fedramp-moderate/],
  ['a trust domain that is none', { trustDomain: 'Example Com' }, /trustDomain/],
  ['a port that is none', { postgres: { port: 70_000 } }, /postgres[/.]port/],
  ['a setting that is none', { services: { 'key-proxy': { settings: { PATH: '/tmp' } } } }, /PATH/],
  [
    'a setting that its service does not have',
    setting('POSTERN_RECORD_VERSION', '3'),
    /POSTERN_RECORD_VERSION:[^]*POSTERN_RECORD_VERSIONS/,
  ],
  [
    'the setting of another service',
    { services: { 'key-proxy': { settings: { POSTERN_RECORD_VERSIONS: 3 } } } },
    /services\.key-proxy\.settings\.POSTERN_RECORD_VERSIONS/,
  ],
  ['a role that halves have by themselves', setting('POSTERN_ROLE', 'worker'), /settings\.POSTERN_ROLE/],
  [
    'a secret for no setting',
    { services: { 'key-proxy': { settingsFromSecret: { POSTERN_PASSWORD: { secret: 's', key: 'k' } } } } },
    /services\.key-proxy\.settingsFromSecret\.POSTERN_PASSWORD/,
  ],
  ['a secret among the settings', setting('POSTERN_BUS_PASSWORD', 'x'), /settingsFromSecret/],
  ['a service without its log', { services: { 'audit-sink': off } }, /services\.audit-sink\.enabled/],
  ['nobody who mints', { services: { 'token-exchange': off } }, /services\.token-exchange\.enabled/],
  ['key-proxy without its provider', { services: { 'crypto-store': off } }, /services\.crypto-store\.enabled/],
  ['no role for a root key', { services: { 'key-proxy': { awsRoleArn: '' } } }, /services\.key-proxy\.awsRoleArn/],
  ['no place to publish to', { audit: { publishTo: '' } }, /audit\.publishTo/],
  ['a file without a volume', { audit: { publishTo: 'file:///data/log' } }, /services\.audit-sink\.data/],
  ['a local root key without a waiver', { rootKey: { kind: 'local', secret: 'k' } }, /rootKey\.waiver/],
  [
    'a local root key in high',
    { profile: 'fedramp-high', rootKey: { kind: 'local', secret: 'k', waiver: '2999-01-31' } },
    /rootKey\.kind/,
  ],
  ['the development trust domain', { trustDomain: 'dev.postern.internal' }, /trustDomain/],
  [
    'bounds that cross',
    { services: { 'crypto-store': { api: { autoscaling: { minReplicas: 9, maxReplicas: 3 } } } } },
    /services\.crypto-store\.api\.autoscaling/,
  ],
  ['a workload of another domain', { policy: policyUnder('elsewhere.example') }, /policy\.workloads portal/],
  ['KEDA that has nobody to ask', { keda: { enabled: true } }, /keda\.prometheusAddress/],
  [
    'KEDA and an adapter at once',
    { keda: { enabled: true, prometheusAddress: 'http://prometheus:9090' }, prometheusAdapter: { enabled: true } },
    /prometheusAdapter\.enabled/,
  ],
  [
    'a query without a share',
    { services: { 'key-proxy': { worker: { autoscaling: { query: 'sum(up)' } } } } },
    /services\.key-proxy\.worker\.autoscaling\.threshold/,
  ],
  ['no root key', { rootKey: { arn: '' } }, /rootKey\.arn/],
  ['a role in place of the root key', { rootKey: { arn: 'arn:aws:iam::123456789012:role/postern' } }, /rootKey[/.]arn/],
  ['a bucket without a role', local({ publishTo: 's3://log/postern?region=eu-west-1' }), /audit\.publishTo/],
  ['a leaf that is renewed after its end', { certificates: { renewBefore: '72h' } }, /certificates\.renewBefore/],
  ['leaves that overlap for less than a connection lives', { certificates: { renewBefore: '10m' } }, /R12/],
  ['an issuer with a slash at its end', publicUrl('https://tokens.example.com/'), /publicUrl/],
  ['an issuer that says the usual port', publicUrl('https://tokens.example.com:443'), /publicUrl/],
  ['egress of no service', { networkPolicy: { egress: { keyproxy: [] } } }, /egress[^]*keyproxy/],
  [
    'a way out whose mistyped end would leave it open to everywhere',
    egress({ too: [{ ipBlock: { cidr: '10.0.0.0/8' } }], ports: [{ port: 443 }] }),
    /networkPolicy[/.]egress/,
  ],
  ['a way out to nobody, and so to everybody', egress({ to: [], ports: [{ port: 443 }] }), /networkPolicy[/.]egress/],
  ['a peer that is nobody', { networkPolicy: { publicFrom: [{}] } }, /networkPolicy[/.]publicFrom/],
  [
    'a peer by a field that is none',
    { networkPolicy: { monitoringFrom: [{ podSelecter: {} }] } },
    /networkPolicy[/.]monitoringFrom/,
  ],
  ['callers of no service', { networkPolicy: { apiFrom: { keyproxy: [{ podSelector: {} }] } } }, /apiFrom[^]*keyproxy/],
  ['an api that is open to nobody, and so to all', { networkPolicy: { apiFrom: { 'audit-sink': [] } } }, /apiFrom/],
  ['a digest of no service', { image: { digests: { keyproxy: `sha256:${'a'.repeat(64)}` } } }, /digests[^]*keyproxy/],
  ['the place of no workload', { workloads: { potral: { namespace: 'portal' } } }, /workloads\.potral[^]*portal/],
  [
    'a document in place of the trust table',
    { services: { 'key-proxy': { documents: { 'trust.json': {} } } } },
    /services\.key-proxy\.documents/,
  ],
  [
    'a label that pods are selected by',
    { services: { 'key-proxy': { podLabels: { 'postern.dev/workload': 'job' } } } },
    /services\.key-proxy\.podLabels/,
  ],
  [
    'pods to scrape, and nobody who may',
    { podMonitor: { enabled: true }, networkPolicy: { monitoringFrom: [] } },
    /networkPolicy\.monitoringFrom/,
  ],
  ['Postgres at nobody', { networkPolicy: { postgres: [] } }, /networkPolicy[/.]postgres/],
  ['a digest that is none', { image: { digests: { 'key-proxy': 'latest' } } }, /digests/],
];

function setting(name: string, value: string): object {
  return { services: { 'crypto-store': { settings: { [name]: value } } } };
}
