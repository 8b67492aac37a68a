import { type KubernetesObject } from '../src/helm.ts';

type Labels = Record<string, string>;
type Container = {
  name: string;
  ports?: { name: string; containerPort: number }[];
  envFrom?: { configMapRef?: { name: string } }[];
  env?: { name: string; value?: string; valueFrom?: unknown }[];
  volumeMounts: { name: string; mountPath: string; readOnly?: boolean }[];
  resources: { requests: Quantities; limits: Quantities };
  securityContext: {
    allowPrivilegeEscalation?: boolean;
    readOnlyRootFilesystem?: boolean;
    capabilities?: { drop: string[] };
  };
  livenessProbe?: Probe;
  readinessProbe?: Probe;
  startupProbe?: Probe;
};
type Rule = { from?: unknown[] | null; to?: unknown[] | null };
type Quantities = { cpu: string; memory: string };
type Probe = { httpGet: { port: string; path: string } };
type Pod = {
  metadata: { labels: Labels };
  spec: {
    serviceAccountName?: string;
    automountServiceAccountToken?: boolean;
    hostNetwork?: boolean;
    securityContext: { runAsNonRoot?: boolean; runAsUser?: number; seccompProfile?: { type: string } };
    containers: Container[];
    volumes: { name: string; configMap?: { name: string }; hostPath?: unknown }[];
    nodeSelector?: Labels;
    tolerations?: object[];
    priorityClassName?: string;
    imagePullSecrets?: object[];
    topologySpreadConstraints?: { labelSelector: { matchLabels: Labels } }[];
  };
};

/** What the API takes and a cluster would choke on, or an attacker would like: one line a fault, none is how it should be. */
export function faultsOf(objects: readonly KubernetesObject[]): string[] {
  const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  const twice = names.filter((name, at) => names.indexOf(name) !== at).map((name) => `${name}: stands twice`);
  return [...twice, ...objects.flatMap((object) => faults(object, objects, new Set(names)))];
}

function faults(object: KubernetesObject, objects: readonly KubernetesObject[], names: ReadonlySet<string>): string[] {
  const found: string[] = [];
  const fault = (holds: boolean, what: string) =>
    void (holds || found.push(`${object.kind} ${object.metadata.name}: ${what}`));
  const spec = object['spec'] as Record<string, unknown> | undefined;

  if (object.kind === 'Deployment' || object.kind === 'Job') judgePod(podOf(object), fault, names, object.kind);
  if (object.kind === 'Deployment') {
    const { matchLabels } = spec!['selector'] as { matchLabels: Labels };
    fault(covers(matchLabels, podOf(object).metadata.labels), 'its selector misses its own pods');
    const others = podsOf(objects).filter((pod) => pod !== podOf(object));
    fault(!others.some((pod) => covers(matchLabels, pod.metadata.labels)), "its selector takes another's pods");
  }
  if (object.kind === 'Service') judgeService(spec as never, podsOf(objects), fault);
  if (object.kind === 'PodDisruptionBudget' || object.kind === 'NetworkPolicy') {
    const { matchLabels } = (spec!['selector'] ?? spec!['podSelector']) as { matchLabels: Labels };
    fault(
      podsOf(objects).some((pod) => covers(matchLabels, pod.metadata.labels)),
      'it selects no pod',
    );
  }
  if (object.kind === 'NetworkPolicy') {
    const { ingress = [], egress = [] } = spec as { ingress?: Rule[]; egress?: Rule[] };
    const open = [...ingress.filter(({ from }) => isNobody(from)), ...egress.filter(({ to }) => isNobody(to))];
    fault(open.length === 0, 'a rule that names nobody lets everybody through');
  }
  if (object.metadata.annotations?.['helm.sh/hook'] !== undefined) {
    const policy = object.metadata.annotations['helm.sh/hook-delete-policy'] ?? '';
    fault(policy.split(',').includes('hook-succeeded'), 'a hook that no uninstall takes away');
  }
  if (object.kind === 'Job') {
    const service = objects.find(({ kind }) => kind === 'Deployment');
    for (const field of ['nodeSelector', 'tolerations', 'priorityClassName', 'imagePullSecrets'] as const)
      fault(
        JSON.stringify(podOf(object).spec[field]) === JSON.stringify(podOf(service!).spec[field]),
        `its ${field} are not those of the services`,
      );
  }
  if (object.kind === 'HorizontalPodAutoscaler' || object.kind === 'ScaledObject') {
    const target = (spec!['scaleTargetRef'] as { name: string }).name;
    const scaled = objects.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === target);
    fault(scaled !== undefined, 'it scales nothing');
    fault(
      (scaled?.['spec'] as { replicas?: number } | undefined)?.replicas === undefined,
      'its Deployment fixes the replicas',
    );
    const least = spec!['minReplicas'] ?? spec!['minReplicaCount'];
    fault(Number(least) <= Number(spec!['maxReplicas'] ?? spec!['maxReplicaCount']), 'its bounds cross');
  }
  if (object.kind === 'ConfigMap') {
    const data = object['data'] as Record<string, string>;
    fault(!Object.keys(data).some((name) => /(PASSWORD|SECRET|TOKEN)$/.test(name)), 'it holds a secret');
    fault(JSON.stringify(data).length < 1_000_000, 'it is over 1 MB');
    if (data['trust.json'] !== undefined) judgeRevocations(data['trust.json'], objects, fault);
  }
  fault(object.kind !== 'Secret', 'a chart makes no Secret');
  return found;
}

function judgePod(
  pod: Pod,
  fault: (holds: boolean, what: string) => void,
  names: ReadonlySet<string>,
  kind: string,
): void {
  const { spec } = pod;
  const { securityContext: own } = spec;
  fault(
    own.runAsNonRoot === true && own.seccompProfile?.type === 'RuntimeDefault',
    'it is not Pod Security "restricted"',
  );
  fault(own.runAsUser === 65_532, "it runs as another user than the image's");
  fault(spec.automountServiceAccountToken === false, 'it mounts a token for the Kubernetes API');
  fault(
    spec.hostNetwork === undefined && spec.volumes.every(({ hostPath }) => hostPath === undefined),
    'it touches the node',
  );
  if (kind === 'Deployment')
    fault(names.has(`ServiceAccount ${spec.serviceAccountName}`), 'its ServiceAccount is not there');
  for (const { configMap } of spec.volumes) {
    if (configMap) fault(names.has(`ConfigMap ${configMap.name}`), `ConfigMap ${configMap.name} is not there`);
  }
  for (const spread of spec.topologySpreadConstraints ?? [])
    fault(covers(spread.labelSelector.matchLabels, pod.metadata.labels), 'it is spread among others');
  for (const container of spec.containers)
    judgeContainer(
      container,
      spec.volumes.map(({ name }) => name),
      fault,
      names,
    );
}

function judgeContainer(
  container: Container,
  volumes: readonly string[],
  fault: (holds: boolean, what: string) => void,
  names: ReadonlySet<string>,
): void {
  const { securityContext: own, resources, ports = [] } = container;
  fault(own.allowPrivilegeEscalation === false && own.readOnlyRootFilesystem === true, 'it may write or rise');
  fault(own.capabilities?.drop.join() === 'ALL', 'it keeps capabilities');
  fault(millicores(resources.requests.cpu) <= millicores(resources.limits.cpu), 'it asks for more CPU than its limit');
  fault(
    mebibytes(resources.requests.memory) <= mebibytes(resources.limits.memory),
    'it asks for more memory than its limit',
  );
  for (const { configMapRef } of container.envFrom ?? [])
    fault(configMapRef !== undefined && names.has(`ConfigMap ${configMapRef.name}`), 'its settings are not there');
  for (const { name } of container.volumeMounts) fault(volumes.includes(name), `no volume ${name}`);
  fault(
    volumes.every((name) => container.volumeMounts.some((mount) => mount.name === name)),
    'a volume is not mounted',
  );
  fault(
    container.volumeMounts.every(
      ({ mountPath, readOnly }) => readOnly === true || ['/tmp', '/data'].includes(mountPath),
    ),
    'it may write elsewhere than /tmp and /data',
  );
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe])
    if (probe)
      fault(
        ports.some(({ name }) => name === probe.httpGet.port),
        `a probe of no port ${probe.httpGet.port}`,
      );
  fault(
    !(container.env ?? []).some(({ name, value }) => value !== undefined && /(PASSWORD|SECRET)$/.test(name)),
    'a secret in clear',
  );
}

function judgeService(
  spec: { selector: Labels; ports: { targetPort: string }[] },
  pods: readonly Pod[],
  fault: (holds: boolean, what: string) => void,
): void {
  const behind = pods.filter(({ metadata }) => covers(spec.selector, metadata.labels));
  fault(behind.length === 1, `${behind.length} Deployments stand behind it`);
  const ports = behind.flatMap((pod) => pod.spec.containers.flatMap((container) => container.ports ?? []));
  fault(
    spec.ports.every(({ targetPort }) => ports.some(({ name }) => name === targetPort)),
    'a port that no pod has',
  );
}

/**
 * Issuers read each other's revocations before they are ready (R14). A Service that leads to ready replicas only would have
 * all of them wait for ever at the first start, and after an outage of all.
 */
function judgeRevocations(
  table: string,
  objects: readonly KubernetesObject[],
  fault: (holds: boolean, what: string) => void,
): void {
  const { revocations } = JSON.parse(table) as { revocations: { uri: string; jwksUri: string }[] };
  for (const address of revocations.flatMap(({ uri, jwksUri }) => [uri, jwksUri])) {
    const { hostname } = new URL(address);
    const service = objects.find(
      ({ kind, metadata }) => kind === 'Service' && hostname.startsWith(`${metadata.name}.`),
    );
    const { publishNotReadyAddresses } = (service?.['spec'] ?? {}) as { publishNotReadyAddresses?: boolean };
    fault(publishNotReadyAddresses === true, `${hostname} leads to nobody before somebody is ready`);
    const leaves = objects
      .filter(({ kind }) => kind === 'Certificate')
      .map(({ spec }) => spec as { dnsNames: string[] });
    const named = leaves.length === 0 || leaves.some(({ dnsNames }) => dnsNames.includes(hostname));
    fault(named, `no certificate has the name ${hostname}`);
  }
}

/** To the API a list that is empty is as one that is not there: everybody. */
const isNobody = (peers: unknown[] | null | undefined): boolean => peers === null || peers?.length === 0;
const podOf = (object: KubernetesObject): Pod => (object['spec'] as { template: Pod }).template;
const podsOf = (objects: readonly KubernetesObject[]): Pod[] =>
  objects.filter(({ kind }) => kind === 'Deployment' || kind === 'Job').map(podOf);
const covers = (selector: Labels, labels: Labels): boolean =>
  Object.keys(selector).length > 0 && Object.entries(selector).every(([name, value]) => labels[name] === value);
const millicores = (text: string): number => (text.endsWith('m') ? Number(text.slice(0, -1)) : Number(text) * 1000);
const mebibytes = (text: string): number =>
  Number.parseFloat(text) * (text.endsWith('Gi') ? 1024 : text.endsWith('Ki') ? 1 / 1024 : 1);
