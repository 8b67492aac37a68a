import { type Api, type Thing } from './api.ts';

type Named = { name: string; optional?: boolean };
type PodSpec = {
  nodeName?: string;
  serviceAccountName: string;
  imagePullSecrets?: Named[];
  containers: {
    env?: { valueFrom?: { secretKeyRef?: Named & { key: string } } }[];
    envFrom?: { configMapRef?: Named; secretRef?: Named }[];
  }[];
  volumes?: {
    secret?: { secretName: string; items?: { key: string }[] };
    configMap?: Named;
    persistentVolumeClaim?: { claimName: string };
  }[];
};

export const podSpec = (pod: Thing): PodSpec => pod.spec as never;

/** What a cluster has against the release in a namespace: pods that were not let in, or that a kubelet could not start. */
export async function faultsIn(api: Api, namespace: string): Promise<string[]> {
  const inside = `/api/v1/namespaces/${namespace}`;
  const pods = await api.list(`${inside}/pods`);
  const events = (await api.list(`${inside}/events`)) as (Thing & { reason: string; message: string })[];
  const refused = events
    .filter(({ reason }) => reason === 'FailedCreate')
    .map(({ message }) => `a pod was not let in: ${message}`);
  const unscheduled = pods
    .filter((pod) => podSpec(pod).nodeName === undefined)
    .map(({ metadata }) => `${metadata.name} has no node`);
  const there = await namesIn(api, namespace);
  const missing = pods.flatMap((pod) =>
    referencesOf(pod)
      .filter((reference) => !there.has(reference))
      .map((reference) => `${pod.metadata.name} has no ${reference}`),
  );
  return [
    ...refused,
    ...unscheduled,
    ...missing,
    ...(await unserved(api, namespace)),
    ...(await unbounded(api, namespace)),
  ];
}

/** A ConfigMap, a Secret with each of its keys, a claim: as `Secret postern-redis/key-proxy-bus`. */
async function namesIn(api: Api, namespace: string): Promise<Set<string>> {
  const inside = `/api/v1/namespaces/${namespace}`;
  const secrets = await api.list(`${inside}/secrets`);
  const certificates = await api.list(`/apis/cert-manager.io/v1/namespaces/${namespace}/certificates`);
  return new Set([
    ...(await api.list(`${inside}/configmaps`)).map(({ metadata }) => `ConfigMap ${metadata.name}`),
    ...(await api.list(`${inside}/persistentvolumeclaims`)).map(({ metadata }) => `claim ${metadata.name}`),
    ...(await api.list(`${inside}/serviceaccounts`)).map(({ metadata }) => `account ${metadata.name}`),
    ...secrets.map(({ metadata }) => `Secret ${metadata.name}`),
    ...secrets.flatMap(({ metadata, data }) => Object.keys(data ?? {}).map((key) => `Secret ${metadata.name}/${key}`)),
    // cert-manager is not here: it would make these.
    ...certificates.map(({ spec }) => `Secret ${(spec as { secretName: string }).secretName}`),
  ]);
}

function referencesOf(pod: Thing): string[] {
  const { containers, volumes = [], imagePullSecrets = [], serviceAccountName } = podSpec(pod);
  return [
    `account ${serviceAccountName}`,
    ...imagePullSecrets.map(({ name }) => `Secret ${name}`),
    ...volumes.flatMap(({ secret, configMap, persistentVolumeClaim }) => [
      ...(secret ? [`Secret ${secret.secretName}`] : []),
      ...(secret?.items ?? []).map(({ key }) => `Secret ${secret!.secretName}/${key}`),
      ...(configMap ? [`ConfigMap ${configMap.name}`] : []),
      ...(persistentVolumeClaim ? [`claim ${persistentVolumeClaim.claimName}`] : []),
    ]),
    ...containers.flatMap(({ env = [], envFrom = [] }) => [
      ...envFrom.flatMap(({ configMapRef }) => (configMapRef ? [`ConfigMap ${configMapRef.name}`] : [])),
      ...env.flatMap(({ valueFrom }) => {
        const from = valueFrom?.secretKeyRef;
        return from ? [`Secret ${from.name}/${from.key}`] : [];
      }),
    ]),
  ];
}

/** Services whose ports lead to no ready pod. */
async function unserved(api: Api, namespace: string): Promise<string[]> {
  type Slice = Thing & { endpoints: { conditions: { ready: boolean } }[] | null; ports: { name: string }[] | null };
  const slices = (await api.list(`/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`)) as Slice[];
  const all = await api.list(`/api/v1/namespaces/${namespace}/services`);
  return all.flatMap(({ metadata, spec }) => {
    const own = slices.filter(({ metadata: of }) => of.labels?.['kubernetes.io/service-name'] === metadata.name);
    const ready = own.flatMap(({ endpoints }) => endpoints ?? []).filter(({ conditions }) => conditions.ready);
    const led = new Set(own.flatMap(({ ports }) => (ports ?? []).map(({ name }) => name)));
    const wanted = (spec as { ports: { name: string }[] }).ports.map(({ name }) => name);
    return ready.length > 0 && wanted.every((name) => led.has(name)) ? [] : [`Service ${metadata.name} leads nowhere`];
  });
}

/** Budgets that guard no pod, and autoscalers whose target was not found. */
async function unbounded(api: Api, namespace: string): Promise<string[]> {
  const budgets = await api.list(`/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets`);
  const scalers = await api.list(`/apis/autoscaling/v2/namespaces/${namespace}/horizontalpodautoscalers`);
  type Condition = { type: string; status: string; message: string };
  return [
    ...budgets
      .filter(({ status }) => !(Number(status?.['expectedPods']) > 0))
      .map(({ metadata }) => `PodDisruptionBudget ${metadata.name} guards no pod`),
    ...scalers.flatMap(({ metadata, status }) => {
      const able = (status?.['conditions'] as Condition[] | undefined)?.find(({ type }) => type === 'AbleToScale');
      return able?.status === 'True'
        ? []
        : [`HorizontalPodAutoscaler ${metadata.name}: ${able?.message ?? 'no state'}`];
    }),
  ];
}

/** Everything in a namespace that is somebody's to keep, as `group/kind name`, without what Kubernetes itself keeps there. */
export async function everythingIn(api: Api, namespace: string): Promise<string[]> {
  const kinds = await namespacedKinds(api);
  const found = await Promise.all(
    kinds.map(async ({ path, plural }) =>
      (await api.list(`${path}/namespaces/${namespace}/${plural}`)).map(
        ({ metadata }) => `${plural}${path.startsWith('/apis/') ? `.${path.split('/')[2]}` : ''} ${metadata.name}`,
      ),
    ),
  );
  const kubernetes = /^(events|leases|pods\.metrics|configmaps kube-root-ca\.crt$|serviceaccounts default$)/;
  return found
    .flat()
    .filter((each) => !kubernetes.test(each))
    .sort();
}

type Kind = { path: string; plural: string };
const known = new WeakMap<Api, Promise<Kind[]>>();

function namespacedKinds(api: Api): Promise<Kind[]> {
  const found = known.get(api) ?? discover(api);
  known.set(api, found);
  return found;
}

async function discover(api: Api): Promise<Kind[]> {
  type Resources = { resources: { name: string; namespaced: boolean; verbs: string[] }[] };
  const { groups } = await api.get<{ groups: { preferredVersion: { groupVersion: string } }[] }>('/apis');
  const paths = ['/api/v1', ...groups.map(({ preferredVersion }) => `/apis/${preferredVersion.groupVersion}`)];
  const all = await Promise.all(
    paths.map(async (path) =>
      (await api.get<Resources>(path)).resources
        .filter(({ name, namespaced, verbs }) => namespaced && verbs.includes('list') && !name.includes('/'))
        .map(({ name }) => ({ path, plural: name })),
    ),
  );
  return all.flat();
}
