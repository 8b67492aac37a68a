import { beforeAll, expect, test } from '@jest/globals';
import { describeWith, realPart } from '@postern/testing';
import { policyDocument } from '@postern/policy';
import { helmProgram, render, type KubernetesObject } from '../src/helm.ts';
import { matrix, policyUnder } from '../src/matrix.ts';

const services = ['token-exchange', 'auth-manager', 'crypto-store', 'key-proxy', 'audit-sink'] as const;
const policy = policyDocument.parse(policyUnder('postern.example.com'));
const program = await realPart('Helm', helmProgram);

type Peer = { podSelector: { matchLabels: Record<string, string> }; namespaceSelector?: unknown };
type Rule = { ports: { port: number }[]; from?: Peer[]; to?: Peer[] };

describeWith(program, 'the chart and what it is made from', (helmPath) => {
  let objects: KubernetesObject[];
  const one = (kind: string, name: string) =>
    objects.find((object) => object.kind === kind && object.metadata.name === name)!;
  const rules = (service: string, direction: 'ingress' | 'egress') =>
    (one('NetworkPolicy', service)['spec'] as Record<typeof direction, Rule[]>)[direction];

  beforeAll(async () => {
    const [, files, values] = matrix[0]!;
    objects = await render(helmPath, files, values);
  });

  test.each(services)(
    '%s may be called by who may ask for its scopes, by who follows it, and by nobody else',
    (service) => {
      const asking = policy.workloads.filter(({ asks }) =>
        asks.some(({ audience }) => audience === service || service === 'token-exchange'),
      );
      const following: Record<string, readonly string[]> = {
        'token-exchange': services,
        'auth-manager': services,
        'audit-sink': services,
        'key-proxy': ['token-exchange'],
      };
      const wanted = new Set([...asking.map(({ name }) => name), ...(following[service] ?? [])]);
      wanted.delete(service);
      const api = rules(service, 'ingress').find(({ ports }) => ports[0]?.port === 8443);
      const callers = api?.from?.map(({ podSelector }) => podSelector.matchLabels['postern.dev/workload'] ?? 'job');
      expect(callers?.sort()).toEqual([...wanted].sort());
    },
  );

  test('who may call may also get out to it, and nothing else is open between services', () => {
    for (const callee of services) {
      const from = rules(callee, 'ingress')[0]!.from!.map(({ podSelector }) => podSelector.matchLabels);
      for (const caller of services.filter((name) => name !== callee)) {
        const mayCall = from.some((labels) => labels['postern.dev/workload'] === caller);
        const getsOut = rules(caller, 'egress').some(
          ({ to = [], ports }) =>
            to.some(({ podSelector }) => podSelector?.matchLabels?.['postern.dev/workload'] === callee) &&
            ports.some(({ port }) => port === 8443),
        );
        expect([caller, callee, getsOut]).toEqual([caller, callee, mayCall]);
      }
    }
  });

  test('where sentinels are asked, each sentinel and the master they name can be reached on its own port', async () => {
    const [, files, values] = matrix[0]!;
    const redis = {
      cache: { port: 26379, master: 'cache', sentinels: ['cache-1.redis:26380'], masterPort: 6380 },
      bus: { port: 26379, master: 'bus', sentinels: ['bus-1.redis:26381', 'bus-2.redis:26382'], masterPort: 6381 },
    };
    const all = await render(helmPath, files, { ...values, redis });
    for (const service of services) {
      const edges = all.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === service)!;
      const { egress } = edges['spec'] as { egress: Rule[] };
      const open = egress
        .filter(({ to }) =>
          to?.some(({ podSelector }) => podSelector?.matchLabels?.['app.kubernetes.io/name'] === 'redis'),
        )
        .flatMap(({ ports }) => ports.map(({ port }) => port));
      expect(open.sort()).toEqual([26379, 26380, 26381, 26382, 6380, 6381].sort());
    }
  });

  test('names are resolved by whom the values say, for migrations too, which run before anything else is there', async () => {
    const [, files, values] = matrix[0]!;
    const dns = [{ ipBlock: { cidr: '169.254.20.10/32' } }];
    const all = await render(helmPath, files, { ...values, networkPolicy: { dns } });
    for (const name of services.flatMap((service) => [service, `${service}-migration`])) {
      const edges = all.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === name)!;
      const { egress } = edges['spec'] as { egress: Rule[] };
      expect(egress.filter(({ ports }) => ports.some(({ port }) => port === 53)).map(({ to }) => to)).toEqual([dns]);
    }
  });

  test('an identity provider that pushes its events reaches the api of audit-sink, and of no other', async () => {
    const [, files, values] = matrix[0]!;
    const pusher = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'keycloak' } } };
    const all = await render(helmPath, files, { ...values, networkPolicy: { apiFrom: { 'audit-sink': [pusher] } } });
    const open = services.filter((service) => {
      const edges = all.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === service)!;
      return (edges['spec'] as { ingress: Rule[] }).ingress.some(
        ({ from, ports }) => ports[0]?.port === 8443 && JSON.stringify(from) === JSON.stringify([pusher]),
      );
    });
    expect(open).toEqual(['audit-sink']);
  });

  test('a workload elsewhere is let in from its own namespace and by its own labels only', () => {
    const peers = rules('crypto-store', 'ingress')[0]!.from!;
    expect(peers).toContainEqual({
      podSelector: { matchLabels: { app: 'billing-job' } },
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'jobs' } },
    });
  });

  test('a service that nobody may call has no rule for callers', async () => {
    const [, files, values] = matrix[0]!;
    const alone = policyUnder('postern.example.com') as { workloads: { asks?: { audience: string }[] }[] };
    for (const workload of alone.workloads)
      workload.asks = (workload.asks ?? []).filter(({ audience }) => audience !== 'crypto-store');
    const all = await render(helmPath, files, {
      ...values,
      policy: alone,
      services: { 'key-proxy': { enabled: false } },
    });
    const edges = all.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'crypto-store')!;
    const { ingress } = edges['spec'] as { ingress: Rule[] };
    expect(ingress.map(({ ports }) => ports[0]?.port)).toEqual([8081]);
  });

  test('everything that no edge names is denied', () => {
    const denied = one('NetworkPolicy', 'postern-default-deny')['spec'] as Record<string, unknown>;
    expect(denied).toEqual({
      podSelector: { matchLabels: { 'app.kubernetes.io/part-of': 'postern', 'app.kubernetes.io/instance': 'postern' } },
      policyTypes: ['Ingress', 'Egress'],
    });
  });

  test.each(services)('a certificate of %s has its name as CN and one URI, its SPIFFE id (R4)', (service) => {
    for (const name of [`postern-${service}-tls`, `postern-${service}-bus-tls`, `postern-${service}-migration-tls`]) {
      const { commonName, uris } = one('Certificate', name)['spec'] as { commonName: string; uris: string[] };
      expect({ commonName, uris }).toEqual({ commonName: service, uris: [`spiffe://postern.example.com/${service}`] });
    }
  });

  test('a service whose role at the authority is its own names the issuers that use it, for its migrations too', async () => {
    const [, files, values] = matrix[0]!;
    const named = (name: string) => ({ name, kind: 'Issuer', group: 'cert-manager.io' });
    const own = { issuerRef: named('key-proxy'), busIssuerRef: named('key-proxy-bus') };
    const all = await render(helmPath, files, { ...values, services: { 'key-proxy': own } });
    const issuers = all
      .filter(({ kind }) => kind === 'Certificate')
      .map(({ metadata: { name }, spec }) => [name, (spec as { issuerRef: { name: string } }).issuerRef.name]);
    expect(Object.fromEntries(issuers)).toMatchObject({
      'postern-key-proxy-tls': 'key-proxy',
      'postern-key-proxy-bus-tls': 'key-proxy-bus',
      'postern-key-proxy-migration-tls': 'key-proxy',
      'postern-crypto-store-tls': 'postern',
      'postern-crypto-store-bus-tls': 'postern-bus',
    });
  });

  test('a service with a volume lists there what was destroyed (R33), in both halves; one without has no list', async () => {
    const [, files, values] = matrix[0]!;
    const all = await render(helmPath, files, {
      ...values,
      services: { 'crypto-store': { data: { claimName: 'lists' } } },
    });
    const settings = (service: string) =>
      all.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === `${service}-settings`)![
        'data'
      ] as Record<string, string>;
    const path = settings('crypto-store')['POSTERN_DESTROYED_KEYS_PATH'];
    expect(path).toBe('/data/destroyed-keys.jsonl');
    expect(settings('key-proxy')['POSTERN_DESTROYED_KEYS_PATH']).toBeUndefined();
    type Spec = { template: { spec: { containers: { volumeMounts: object[] }[]; volumes: object[] } } };
    for (const half of ['crypto-store', 'crypto-store-worker']) {
      const found = all.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === half)!;
      const { containers, volumes } = (found['spec'] as Spec).template.spec;
      expect(volumes).toContainEqual({ name: 'data', persistentVolumeClaim: { claimName: 'lists' } });
      expect(containers[0]?.volumeMounts).toContainEqual({ name: 'data', mountPath: '/data' });
    }
  });

  test("a setting stands once, in place of the chart's own, and a number as it was written", async () => {
    const [, files, values] = matrix[0]!;
    const given = { POSTERN_LOG_LEVEL: 'debug', POSTERN_RECORD_VERSIONS: 20_000_000, POSTERN_POSTGRES_POOL_SIZE: 0.5 };
    const all = await render(helmPath, files, { ...values, services: { 'crypto-store': { settings: given } } });
    const map = all.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'crypto-store-settings')!;
    expect(map['data']).toMatchObject({
      POSTERN_LOG_LEVEL: 'debug',
      POSTERN_RECORD_VERSIONS: '20000000',
      POSTERN_POSTGRES_POOL_SIZE: '0.5',
    });
  });
});
