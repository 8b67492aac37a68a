import { matrix } from '@postern/helm';
import { type Thing } from './api.ts';
import { type Cluster } from './cluster.ts';
import { prepareNamespace } from './namespace.ts';
import { openRelease } from './release.ts';
import { NEVER_READY } from './stages.ts';
import { until } from './until.ts';

const NAMESPACE = 'unready';
const issuers = ['token-exchange', 'auth-manager', 'key-proxy'];

type Slice = Thing & { endpoints: { conditions: { ready: boolean } }[] | null };

/** Before anybody is ready: issuers find each other (R14), callers find nobody, and what will never be ready holds up no drain. */
export async function unready({ plane, helm, folder, must }: Cluster): Promise<void> {
  const { api } = plane;
  const [, files, good] = matrix[0]!;
  await prepareNamespace(api, NAMESPACE, { withCertificates: false });
  const release = openRelease(helm, { plane, namespace: NAMESPACE, folder });
  const image = { repository: 'registry.example.com/postern', tag: NEVER_READY };
  const { ok, stderr } = await release.install({ files, values: { ...good, image } }, '--wait=false');
  must(ok, `helm install: ${stderr}`);

  const led = async (service: string) => {
    const slices = (await api.list(`/apis/discovery.k8s.io/v1/namespaces/${NAMESPACE}/endpointslices`)) as Slice[];
    return slices
      .filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === service)
      .flatMap(({ endpoints }) => endpoints ?? [])
      .map(({ conditions }) => conditions.ready);
  };
  for (const issuer of issuers) {
    must(
      await until(async () => (await led(`${issuer}-peers`)).includes(true)),
      `${issuer}-peers leads to nobody before somebody is ready`,
    );
    must(!(await led(issuer)).includes(true), `${issuer} leads callers to a pod that is not ready`);
  }

  const pods = `/api/v1/namespaces/${NAMESPACE}/pods`;
  const stuck = async () =>
    (await api.list(pods)).filter(
      ({ metadata, status }) =>
        metadata.labels?.['postern.dev/role'] === 'api' &&
        metadata.labels['app.kubernetes.io/name'] === 'crypto-store' &&
        status?.['phase'] === 'Running',
    );
  must(await until(async () => (await stuck()).length === 2), 'crypto-store has not its two replicas');
  for (const { metadata } of await stuck()) {
    const eviction = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: metadata.name, namespace: NAMESPACE },
    };
    const status = await api.create(`${pods}/${metadata.name}/eviction`, eviction);
    must(status === 201, `what was never ready holds up a drain: ${status}`);
  }
  await release.uninstall();
}
