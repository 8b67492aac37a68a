import { matrix } from '@postern/helm';
import { NODES, type Cluster } from './cluster.ts';
import { podSpec } from './inspect.ts';
import { prepareNamespace } from './namespace.ts';
import { ended, openRelease } from './release.ts';
import { until } from './until.ts';
import { type Thing } from './api.ts';

const NAMESPACE = 'disrupted';
const SIX = { autoscaling: { enabled: true, minReplicas: 6, maxReplicas: 9 } };

/** Where pods come to stand, and what is taken away at once when nodes are drained. */
export async function disruptions({ plane, programs, helm, folder, must }: Cluster): Promise<void> {
  const { api } = plane;
  const [, files, good] = matrix[0]!;
  await prepareNamespace(api, NAMESPACE, { withCertificates: false });
  const release = openRelease(helm, { plane, namespace: NAMESPACE, folder });
  const installed = await release.install({ files, values: { ...good, services: { 'crypto-store': { api: SIX } } } });
  must(installed.ok, `helm install: ${installed.stderr}`);
  const deployments = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`;
  const pods = `/api/v1/namespaces/${NAMESPACE}/pods`;
  const whole = async () =>
    (await api.list(deployments)).every(
      ({ spec, status }) => Number(spec?.['replicas']) >= 2 && status?.['availableReplicas'] === spec?.['replicas'],
    );
  must(await until(whole), 'not every Deployment has its replicas');

  for (const { metadata, spec } of await api.list(deployments)) {
    const labels = (spec as { selector: { matchLabels: Record<string, string> } }).selector.matchLabels;
    const own = (await api.list(pods)).filter(
      (pod) => covers(labels, pod) && pod.metadata.deletionTimestamp === undefined,
    );
    const zones = counted(
      own.map((pod) => `zone-${'abc'[NODES.indexOf(podSpec(pod).nodeName!) % 3]}`),
      3,
    );
    must(Math.max(...zones) - Math.min(...zones) <= 1, `${metadata.name} stands ${zones.join(', ')} in the zones`);
    const nodes = counted(
      own.map((pod) => podSpec(pod).nodeName!),
      NODES.length,
    );
    must(Math.max(...nodes) - Math.min(...nodes) <= 1, `${metadata.name} stands ${nodes.join(', ')} on the nodes`);
  }

  // Every pod of one half asked to go at once: one may.
  const asked = (await api.list(pods)).filter(
    (pod) =>
      pod.metadata.labels?.['app.kubernetes.io/name'] === 'crypto-store' &&
      pod.metadata.labels['postern.dev/serves'] === 'api',
  );
  const answers = await Promise.all(
    asked.map(({ metadata }) =>
      api.create(`${pods}/${metadata.name}/eviction`, {
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { name: metadata.name, namespace: NAMESPACE },
      }),
    ),
  );
  must(
    asked.length === 6 && answers.filter((status) => status === 201).length === 1,
    `of six evictions at once were answered ${answers.join(', ')}`,
  );
  must(await until(whole), 'what was evicted was not replaced');

  const watch = await api.watch(deployments);
  for (const node of ['node-1', 'node-4']) {
    const words = ['drain', node, '--ignore-daemonsets', '--delete-emptydir-data', '--timeout=150s'];
    const drained = await ended(programs.kubectl, words, { KUBECONFIG: plane.kubeconfig, HOME: folder });
    must(drained.ok, `kubectl drain ${node}: ${drained.stderr}`);
    must(
      (await api.list(pods)).every((pod) => podSpec(pod).nodeName !== node),
      `${node} was drained and still has pods`,
    );
  }
  await watch.stop();
  const short = watch.seen.filter(
    ({ object }) => Number(object.status?.['availableReplicas'] ?? 0) < Number(object.spec?.['replicas']) - 1,
  );
  must(
    short.length === 0,
    `more than one at a time was taken from ${short.map(({ object }) => object.metadata.name).join(', ')}`,
  );
  must(await until(whole), 'after two nodes were drained not every Deployment has its replicas');
  for (const node of ['node-1', 'node-4']) await api.patch(`/api/v1/nodes/${node}`, { spec: { unschedulable: false } });
  await release.uninstall();
}

const covers = (selector: Record<string, string>, { metadata }: Thing): boolean =>
  Object.entries(selector).every(([name, value]) => metadata.labels?.[name] === value);

/** How many of each, with those that have none. */
function counted(names: readonly string[], of: number): number[] {
  const counts = [...new Set(names)].map((name) => names.filter((each) => each === name).length);
  return [...counts, ...Array<number>(Math.max(0, of - counts.length)).fill(0)];
}
