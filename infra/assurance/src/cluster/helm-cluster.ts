import { helmProgram } from '@postern/helm';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Case, type Circumstances } from '../assess.ts';
import { type Api } from './api.ts';
import { type Cluster, NODES } from './cluster.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';
import { disruptions } from './disruptions.ts';
import { everySet } from './every-set.ts';
import { bind } from './namespace.ts';
import { customDefinitions, kubernetesPrograms, KUBERNETES_VERSION, type Programs } from './programs.ts';
import { refusals } from './refusals.ts';
import { ended } from './release.ts';
import { upgrades } from './upgrades.ts';
import { unready } from './unready.ts';
import { until } from './until.ts';

const events: [name: string, run: (cluster: Cluster) => Promise<void>][] = [
  ['values', everySet],
  ['refusals', refusals],
  ['upgrades', upgrades],
  ['unready', unready],
  ['disruptions', disruptions],
];

/** The chart in a control plane that takes, schedules and replaces what it is given; no pod of it is executed. */
export const helmInCluster: Case = {
  name: 'helm/cluster',
  guarantee:
    'a real Kubernetes takes, schedules, replaces and removes what the chart makes, and nothing of what is wrong',
  async run(circumstances) {
    circumstances.say(
      `Kubernetes ${KUBERNETES_VERSION}; built where it is not there yet: some twenty minutes of one core`,
    );
    const programs = await kubernetesPrograms();
    const folder = mkdtempSync(join(tmpdir(), 'postern-cluster-'));
    const plane = await startControlPlane(programs, folder);
    try {
      await furnish(plane, programs, folder);
      return await judged({ plane, programs, folder, helm: await helmProgram() }, circumstances);
    } finally {
      await plane.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function judged(given: Omit<Cluster, 'must'>, { say, only }: Circumstances) {
  const failed: string[] = [];
  let tried = 0;
  for (const [name, run] of events.filter(([each]) => only === undefined || each.includes(only))) {
    const before = { tried, failed: failed.length };
    const must = (holds: boolean, what: string) => {
      tried += 1;
      if (!holds) failed.push(`${name}: ${what}`);
    };
    const from = Date.now();
    await run({ ...given, must }).catch((error: unknown) => must(false, String(error)));
    const seconds = Math.round((Date.now() - from) / 1_000);
    say(`${name}: ${tried - before.tried} tried, ${failed.length - before.failed} failed, ${seconds} s`);
  }
  return { tried, failed, lost: [] };
}

/** Six nodes in three zones, the kinds of others, and what `deployer` may do with these. */
async function furnish({ api, kubeconfig }: ControlPlane, { kubectl }: Programs, folder: string): Promise<void> {
  for (const [at, name] of NODES.entries())
    await api.create('/api/v1/nodes', {
      metadata: {
        name,
        labels: { 'kubernetes.io/hostname': name, 'topology.kubernetes.io/zone': `zone-${'abc'[at % 3]}` },
      },
    });
  for (const file of await customDefinitions()) {
    const words = ['create', '-f', file];
    const { ok, stderr } = await ended(kubectl, words, { KUBECONFIG: kubeconfig, HOME: folder });
    if (!ok) throw new Error(stderr);
  }
  // Each of these comes with a role like it when it is installed.
  await api.create('/apis/rbac.authorization.k8s.io/v1/clusterroles', {
    metadata: { name: 'kinds-of-others', labels: { 'rbac.authorization.k8s.io/aggregate-to-admin': 'true' } },
    rules: [
      {
        apiGroups: ['cert-manager.io', 'keda.sh', 'monitoring.coreos.com'],
        resources: ['certificates', 'scaledobjects', 'podmonitors'],
        verbs: ['*'],
      },
    ],
  });
  await api.create('/api/v1/namespaces', { metadata: { name: 'monitoring' } });
  await bind(api, 'monitoring');
  if (!(await until(() => allReady(api)))) throw new Error('the nodes are not ready');
}

async function allReady(api: Api): Promise<boolean> {
  type Condition = { type: string; status: string };
  const nodes = await api.list('/api/v1/nodes');
  return nodes.every(({ spec, status }) => {
    const ready = (status?.['conditions'] as Condition[] | undefined)?.find(({ type }) => type === 'Ready');
    return ready?.status === 'True' && spec?.['taints'] === undefined;
  });
}
