import { matrix } from '@postern/helm';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster } from './cluster.ts';
import { everythingIn, faultsIn, podSpec } from './inspect.ts';
import { prepareNamespace } from './namespace.ts';
import { ended, openRelease, type Given } from './release.ts';
import { until } from './until.ts';

const off = { enabled: false };

/** The matrix of infra/helm, and what it does not single out: each profile, and each service that may be away. */
function sets(): [name: string, given: Given][] {
  const policy = (matrix[0]![2] as { policy: object }).policy;
  const production = (values: object): Given => ({ values: { policy, ...values } });
  return [
    ...matrix.map(([name, files, values]): [string, Given] => [name, { files, values }]),
    ...['fedramp-low', 'fedramp-moderate', 'fedramp-high'].map((profile): [string, Given] => [
      profile,
      production({ profile }),
    ]),
    ['without auth-manager', production({ services: { 'auth-manager': off } })],
    ['without key-proxy', production({ services: { 'key-proxy': off } })],
    [
      'token-exchange and its log alone',
      production({ services: { 'auth-manager': off, 'key-proxy': off, 'crypto-store': off } }),
    ],
  ];
}

/** Each set of values is installed, looked at and uninstalled, in a namespace of its own; two at a time. */
export async function everySet(cluster: Cluster): Promise<void> {
  const waiting = sets().entries();
  const worker = async () => {
    for (const [at, [name, given]] of waiting) await one(cluster, `set-${at + 1}`, name, given);
  };
  await Promise.all([worker(), worker()]);
  // Where the rules for an adapter go, in the set that has one.
  const elsewhere = await everythingIn(cluster.plane.api, 'monitoring');
  cluster.must(
    elsewhere.join() === 'rolebindings.rbac.authorization.k8s.io deployer',
    `left in another namespace: ${elsewhere.join(', ')}`,
  );
}

async function one(cluster: Cluster, namespace: string, name: string, given: Given): Promise<void> {
  const { plane, programs, helm, folder } = cluster;
  const must = (holds: boolean, what: string) => cluster.must(holds, `${name}: ${what}`);
  const withCertificates = /source: ?secrets/.test(JSON.stringify(given).replaceAll('"', '')) || name === 'development';
  await prepareNamespace(plane.api, namespace, { withCertificates });
  const release = openRelease(helm, { plane, namespace, folder });
  const before = await everythingIn(plane.api, namespace);

  const strict = await ended(
    programs.kubectl,
    ['apply', '--server-side', '--dry-run=server', '--validate=strict', '-f', '-'],
    { KUBECONFIG: inNamespace(plane.deployer, namespace, folder), HOME: folder },
    await release.template(given),
  );
  must(strict.ok && strict.stderr === '', `strictly read, ${strict.stderr}`);

  await keepPool(cluster, given, true);
  const installed = await release.install(given);
  must(installed.ok, `helm install: ${installed.stderr}`);
  must(installed.stderr === '', `the API server warned: ${installed.stderr}`);
  let faults: string[] = [];
  await until(async () => (faults = await faultsIn(plane.api, namespace)).length === 0, 30_000);
  must(faults.length === 0, faults.join('; '));
  await mustBeWhereToldTo(cluster, must, namespace, given);

  const removed = await release.uninstall();
  must(removed.ok && removed.stderr === '', `helm uninstall: ${removed.stderr}`);
  const rest = async () => (await everythingIn(plane.api, namespace)).filter((each) => !before.includes(each));
  await until(async () => (await rest()).length === 0, 30_000);
  await keepPool(cluster, given, false);
  must((await rest()).length === 0, `uninstalled, and still there: ${(await rest()).join(', ')}`);
}

/** A pool as the values have it: two nodes with its label, and with a taint that keeps all others away; or no pool any more. */
async function keepPool({ plane }: Cluster, { values }: Given, kept: boolean): Promise<void> {
  const { nodeSelector } = values as { nodeSelector?: Record<string, string> };
  if (nodeSelector === undefined) return;
  const taint = { key: 'postern', value: 'only', effect: 'NoSchedule' };
  for (const node of ['node-1', 'node-2'])
    await plane.api.patch(`/api/v1/nodes/${node}`, {
      metadata: { labels: kept ? nodeSelector : { pool: null } },
      spec: { taints: kept ? [taint] : null },
    });
}

/** Pods that have ended too: a migration runs where its service does. */
async function mustBeWhereToldTo(
  { plane }: Cluster,
  must: (holds: boolean, what: string) => void,
  namespace: string,
  { values }: Given,
): Promise<void> {
  if (!('nodeSelector' in values)) return;
  const events = (await plane.api.list(`/api/v1/namespaces/${namespace}/events`)) as unknown as {
    reason: string;
    message: string;
  }[];
  const scheduled = events.filter(({ reason }) => reason === 'Scheduled').map(({ message }) => message);
  const pods = await plane.api.list(`/api/v1/namespaces/${namespace}/pods`);
  const elsewhere = scheduled.filter((message) => !/to node-[12]$/.test(message));
  must(scheduled.length > pods.length, 'nothing was scheduled for a migration');
  must(elsewhere.length === 0, `outside of its pool: ${elsewhere.join('; ')}`);
  must(
    pods.every((pod) => (podSpec(pod) as { priority?: number }).priority === 2_000_000_000),
    'a pod without the priority',
  );
}

/** The file of a user with a namespace of its own: given on the command line, kubectl would refuse an object of another. */
function inNamespace(kubeconfig: string, namespace: string, folder: string): string {
  const file = JSON.parse(readFileSync(kubeconfig, 'utf8')) as { contexts: { context: object }[] };
  for (const each of file.contexts) each.context = { ...each.context, namespace };
  const path = join(folder, `${namespace}.kubeconfig`);
  writeFileSync(path, JSON.stringify(file), { mode: 0o600 });
  return path;
}
