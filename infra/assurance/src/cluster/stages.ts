/** A service's image with this tag starts and is never ready; migrations with it end well. */
export const NEVER_READY = 'never-ready';
/** A migration with this image ends with an error. */
export const FAILING_MIGRATION = 'registry.example.com/postern/crypto-store:fails-to-migrate';

const services = ['token-exchange', 'auth-manager', 'crypto-store', 'key-proxy', 'audit-sink'];
const neverReady = services.map((service) => `registry.example.com/postern/${service}:${NEVER_READY}`);

type Rule = [key: string, operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist', values?: string[]];
const there: Rule = ['.metadata.deletionTimestamp', 'DoesNotExist'];
const owner = '.metadata.ownerReferences.[].kind';
const image = '.spec.containers.[].image';

const stage = (
  name: string,
  kind: 'Pod' | 'Node',
  rules: Rule[],
  next: object,
  delay?: [ms: number, jitterMs: number],
) => ({
  apiVersion: 'kwok.x-k8s.io/v1alpha1',
  kind: 'Stage',
  metadata: { name },
  spec: {
    resourceRef: { apiGroup: 'v1', kind },
    selector: {
      matchExpressions: rules.map(([key, operator, values]) => ({ key, operator, ...(values ? { values } : {}) })),
    },
    ...(delay ? { delay: { durationMilliseconds: delay[0], jitterDurationMilliseconds: delay[1] } } : {}),
    next,
  },
});

const conditions = (ready: boolean) =>
  ['Initialized', 'Ready', 'ContainersReady']
    .map(
      (type) =>
        `- { type: ${type}, status: "${type === 'Initialized' || ready ? 'True' : 'False'}", lastTransitionTime: {{ Now | Quote }} }`,
    )
    .join('\n');

const running = (ready: boolean) => `
phase: Running
startTime: {{ Now | Quote }}
conditions:
${conditions(ready)}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: ${ready}
  restartCount: 0
  state: { running: { startedAt: {{ Now | Quote }} } }
{{ end }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: {{ PodIPWith .spec.nodeName false ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) | Quote }}
`;

const ended = (exitCode: number) => `
phase: ${exitCode === 0 ? 'Succeeded' : 'Failed'}
conditions:
${conditions(false)}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: false
  restartCount: 0
  state: { terminated: { exitCode: ${exitCode}, reason: ${exitCode === 0 ? 'Completed' : 'Error'}, startedAt: {{ Now | Quote }}, finishedAt: {{ Now | Quote }} } }
{{ end }}
`;

const node = `
conditions:
{{ range NodeConditions }}
- { type: {{ .type | Quote }}, status: {{ .status | Quote }}, reason: {{ .reason | Quote }}, message: {{ .message | Quote }}, lastHeartbeatTime: {{ Now | Quote }}, lastTransitionTime: {{ Now | Quote }} }
{{ end }}
addresses:
- { type: InternalIP, address: {{ NodeIP | Quote }} }
allocatable: { cpu: "16", memory: 64Gi, pods: "200" }
capacity: { cpu: "16", memory: 64Gi, pods: "200" }
phase: Running
`;

const pending: Rule[] = [there, ['.status.phase', 'In', ['Pending']]];
const isRunning: Rule[] = [there, ['.status.phase', 'In', ['Running']], [owner, 'In', ['Job']]];

/** What kwok does in the place of a kubelet, as its configuration: pods are ready after a second or two, and gone after one. */
export const stages = [
  stage('node', 'Node', [['.status.conditions.[] | select( .type == "Ready" ) | .status', 'NotIn', ['True']]], {
    statusTemplate: node,
  }),
  stage(
    'pod-ready',
    'Pod',
    [...pending, [owner, 'NotIn', ['Job']], [image, 'NotIn', neverReady]],
    { statusTemplate: running(true) },
    [700, 1_500],
  ),
  stage('pod-never-ready', 'Pod', [...pending, [owner, 'NotIn', ['Job']], [image, 'In', neverReady]], {
    statusTemplate: running(false),
  }),
  stage('migration-starts', 'Pod', [...pending, [owner, 'In', ['Job']]], { statusTemplate: running(true) }),
  stage(
    'migration-ends',
    'Pod',
    [...isRunning, [image, 'NotIn', [FAILING_MIGRATION]]],
    { statusTemplate: ended(0) },
    [300, 600],
  ),
  stage(
    'migration-fails',
    'Pod',
    [...isRunning, [image, 'In', [FAILING_MIGRATION]]],
    { statusTemplate: ended(1) },
    [300, 600],
  ),
  stage(
    'pod-gone',
    'Pod',
    [['.metadata.deletionTimestamp', 'Exists']],
    { finalizers: { empty: true }, delete: true },
    [300, 900],
  ),
]
  .map((each) => JSON.stringify(each))
  .join('\n---\n');
