import { readFileSync } from 'node:fs';
import { BlockList } from 'node:net';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { describeWith, realPart } from '@postern/testing';
import { parse, parseAllDocuments } from 'yaml';
import { place } from '../src/place.ts';
import { helmProgram, render, type KubernetesObject } from '../src/helm.ts';
import { modelModule, unknownFields } from './known-fields.ts';
import { matrix } from '../src/matrix.ts';

const program = await realPart('Helm', helmProgram);

const documents = (file: string): KubernetesObject[] =>
  parseAllDocuments(readFileSync(place(`examples/${file}`), 'utf8')).map(
    (document) => document.toJS() as KubernetesObject,
  );

type Cluster = {
  instances: number;
  certificates: Record<string, string>;
  postgresql: {
    synchronous: { method: string; number: number; dataDurability: string };
    parameters: Record<string, string>;
    pg_hba: string[];
    pg_ident: string[];
  };
};

describe('the example of Postgres', () => {
  const { instances, postgresql, certificates } = documents('postgres.yaml')[0]!['spec'] as Cluster;

  test('R22: a commit stands on a standby too, one may be away, and none is acknowledged without', () => {
    const { method, number, dataDurability } = postgresql.synchronous;
    expect({ method, dataDurability }).toEqual({ method: 'any', dataDurability: 'required' });
    expect(number).toBeGreaterThanOrEqual(1);
    expect(instances).toBeGreaterThan(number + 1);
    expect(postgresql.parameters['synchronous_commit']).toBe('on');
  });

  test('what it is served over is TLS 1.3 (who may log in: postgres-example.int.spec.ts)', () => {
    expect(postgresql.parameters['ssl_min_protocol_version']).toBe('TLSv1.3');
  });

  test("its certificates come from the authority of the services, the standbys' too, and no key of an authority is asked for", async () => {
    const leaves = documents('postgres.yaml').filter(({ kind }) => kind === 'Certificate');
    for (const object of leaves) {
      const models = (await import(modelModule(object))) as Record<string, new (of: object) => { validate(): void }>;
      new models[object.kind]!(object).validate();
    }
    expect(unknownFields(leaves)).toEqual([]);
    // The operator makes the standbys' certificate by the authority's key where none is named.
    const made = leaves.map(({ spec }) => (spec as { secretName: string }).secretName);
    expect(Object.keys(certificates).sort()).toEqual([
      'clientCASecret',
      'replicationTLSSecret',
      'serverCASecret',
      'serverTLSSecret',
    ]);
    expect(made).toEqual(expect.arrayContaining(Object.values(certificates)));
    const standby = leaves.find(({ metadata }) => metadata.name === certificates['replicationTLSSecret'])!;
    expect(standby['spec']).toMatchObject({
      commonName: 'streaming_replica',
      usages: ['digital signature', 'client auth'],
    });
    const serving = leaves.find(({ metadata }) => metadata.name === certificates['serverTLSSecret'])!;
    expect((serving['spec'] as { dnsNames: string[] }).dnsNames).toContain('postern-postgres-rw');
  });
});

test('the example of issuers is what cert-manager takes, with an authority of its own for the bus (R21)', async () => {
  const issuers = documents('issuers.yaml');
  for (const object of issuers) {
    const models = (await import(modelModule(object))) as Record<string, new (of: object) => { validate(): void }>;
    new models[object.kind]!(object).validate();
  }
  expect(unknownFields(issuers)).toEqual([]);
  const authorities = issuers.map(({ spec }) => (spec as { ca: { secretName: string } }).ca.secretName);
  expect(new Set(authorities).size).toBe(2);
});

describeWith(program, 'the examples beside the chart', (helmPath) => {
  let objects: KubernetesObject[];
  beforeAll(async () => {
    const [, files, values] = matrix.find(([, each]) => each.includes('sentinels.yaml'))!;
    objects = await render(helmPath, files, values);
  });
  const data = (service: string) =>
    objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === `${service}-settings`)![
      'data'
    ] as Record<string, string>;

  test('each certificate may take the two roles that its service logs in as, and no other', () => {
    const { postgresql } = documents('postgres.yaml')[0]!['spec'] as Cluster;
    const services = ['auth-manager', 'token-exchange', 'crypto-store', 'key-proxy', 'audit-sink'];
    const wanted = services.flatMap((service) => {
      const role = new URL(data(service)['POSTERN_POSTGRES_URL']!).username;
      return [`services ${service} ${role}`, `services ${service} ${role}_owner`];
    });
    expect([...postgresql.pg_ident].sort()).toEqual(wanted.sort());
  });

  test('Postgres takes the pools of all replicas that the values may come to, and of those that replace them', async () => {
    const { postgresql } = documents('postgres.yaml')[0]!['spec'] as Cluster;
    const [, files, values] = matrix[0]!;
    const all = await render(helmPath, files, values);
    const poolOf = (name: string) =>
      Number(
        (all.find(({ metadata }) => metadata.name === `${name}-settings`)!['data'] as Record<string, string>)[
          'POSTERN_POSTGRES_POOL_SIZE'
        ],
      );
    const most = all
      .filter(({ kind }) => kind === 'Deployment')
      .map(({ metadata: { name, labels }, spec }) => {
        const scaler = all.find((object) => object.kind === 'HorizontalPodAutoscaler' && object.metadata.name === name);
        const { replicas } = spec as { replicas?: number };
        const replicasMost = replicas ?? (scaler!['spec'] as { maxReplicas: number }).maxReplicas;
        return (replicasMost + 1) * poolOf(labels!['app.kubernetes.io/name']!);
      })
      .reduce((sum, each) => sum + each, 0);
    expect(most).toBeGreaterThan(100);
    // Migrations, the operator and its backups have some beside them.
    expect(Number(postgresql.parameters['max_connections'])).toBeGreaterThanOrEqual(most + 20);
  });

  test('where sentinels are named, services ask all three for the master', () => {
    expect(data('crypto-store')['POSTERN_CACHE_URL']).toMatch(/cache-sentinel-0.*postern-cache/);
    for (const service of ['crypto-store', 'audit-sink'])
      for (const at of [0, 1, 2]) expect(data(service)['POSTERN_BUS_URL']).toContain(`bus-sentinel-${at}.redis`);
  });

  test.each(['token-exchange', 'auth-manager', 'crypto-store', 'key-proxy', 'audit-sink'])(
    'KEDA scales the api half of %s by its own requests',
    (service) => {
      const scaled = objects.find(({ kind, metadata }) => kind === 'ScaledObject' && metadata.name === service)!;
      const { triggers } = scaled['spec'] as { triggers: { type: string; metadata: Record<string, string> }[] };
      expect(triggers.map(({ type }) => type)).toEqual(['prometheus', 'cpu']);
      expect(triggers[0]!.metadata).toMatchObject({
        query: `sum(rate(http_server_request_duration_seconds_count{service="${service}"}[2m]))`,
        threshold: '300',
      });
    },
  );
});

describeWith(program, 'the example of production', (helmPath) => {
  test('key-proxy reaches public addresses, where the clouds are, and of others none that its service would refuse (R35)', async () => {
    const [, files, values] = matrix[0]!;
    const all = await render(helmPath, files, values);
    const { egress } = all.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'key-proxy')![
      'spec'
    ] as { egress: { to: { ipBlock?: { cidr: string; except?: string[] } }[]; ports: { port: number }[] }[] };
    const world = egress.flatMap(({ to }) => to).find(({ ipBlock }) => ipBlock?.cidr === '0.0.0.0/0')?.ipBlock;
    const kept = new BlockList();
    for (const block of world?.except ?? ['0.0.0.0/0']) {
      const [address = '', bits] = block.split('/');
      kept.addSubnet(address, Number(bits));
    }
    const open = (address: string) => !kept.check(address);
    expect(['8.8.8.8', '52.94.5.1', '20.190.128.1', '142.250.1.1'].filter((address) => !open(address))).toEqual([]);
    const inside = [
      '10.1.2.3',
      '172.16.0.1',
      '172.31.255.1',
      '192.168.1.1',
      '169.254.169.254',
      '100.100.1.1',
      '168.63.129.16',
      '192.0.0.192',
      '198.18.0.1',
      '224.0.0.1',
      '127.0.0.1',
    ];
    expect(inside.filter(open)).toEqual([]);
  });
});

describeWith(program, 'prometheus-adapter in place of KEDA', (helmPath) => {
  let objects: KubernetesObject[];
  let rules: { seriesQuery: string; name: { as: string }; metricsQuery: string }[];
  beforeAll(async () => {
    const [, files, values] = matrix.find(([name]) => name.includes('prometheus-adapter'))!;
    objects = await render(helmPath, files, values);
    const map = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'postern-scaled-by')!;
    const { 'config.yaml': text = '' } = map['data'] as Record<string, string>;
    rules = (parse(text) as { externalRules: typeof rules }).externalRules;
  });
  const external = () =>
    objects
      .filter(({ kind }) => kind === 'HorizontalPodAutoscaler')
      .flatMap(({ metadata, spec }) =>
        (spec as { metrics: { external?: { metric: { name: string }; target: object } }[] }).metrics.flatMap(
          (metric) => (metric.external === undefined ? [] : [{ of: metadata.name, ...metric.external }]),
        ),
      );

  test('each metric that a Deployment is scaled by has a rule, and each rule its Deployment', () => {
    const asked = external().map(({ metric }) => metric.name);
    expect(asked.sort()).toEqual(rules.map(({ name }) => name.as).sort());
    expect(new Set(asked).size).toBe(asked.length);
    expect(asked).toContain('postern_key_proxy_scaled_by');
  });

  test('an api half is scaled by its own requests, a worker by what its values name, and CPU stays', () => {
    const scaledBy = (deployment: string) => {
      const { metric, target } = external().find(({ of }) => of === deployment)!;
      return { target, query: rules.find(({ name }) => name.as === metric.name)!.metricsQuery };
    };
    expect(scaledBy('token-exchange')).toEqual({
      target: { type: 'AverageValue', averageValue: '300' },
      query: 'sum(rate(http_server_request_duration_seconds_count{service="token-exchange"}[2m]))',
    });
    expect(scaledBy('crypto-store-worker')).toEqual({
      target: { type: 'AverageValue', averageValue: '100' },
      query: 'max(postern_bus_queue_jobs)',
    });
    for (const { spec } of objects.filter(({ kind }) => kind === 'HorizontalPodAutoscaler'))
      expect((spec as { metrics: { type: string }[] }).metrics[0]!.type).toBe('Resource');
    expect(objects.filter(({ kind }) => kind === 'ScaledObject')).toEqual([]);
  });
});
