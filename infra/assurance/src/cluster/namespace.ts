import { type Api } from './api.ts';

const services = ['token-exchange', 'auth-manager', 'crypto-store', 'key-proxy', 'audit-sink'];
const text = (names: string[]) => Object.fromEntries(names.map((name) => [name, 'of-a-test']));

/** What infra/helm's README tells an operator to bring, by name: [name, keys, whether certificates are one's own]. */
const brought: [name: string, keys: string[]][] = [
  ['postern-redis', [...services.map((service) => `${service}-bus`), 'crypto-store-cache', 'key-proxy-cache']],
  ['postern-root-key', ['root-key.json']],
  ['root-key', ['root-key.json']],
  ['registry', ['.dockerconfigjson']],
  ['collector', ['headers']],
];
const certificates = services.flatMap((service) => [`postern-${service}-tls`, `postern-${service}-bus-tls`]);
const claims = ['crypto-store', 'audit-log'];

/** A namespace that enforces "restricted", with what an operator brings, in which `deployer` is what Kubernetes calls `admin`. */
export async function prepareNamespace(
  api: Api,
  name: string,
  { withCertificates }: { withCertificates: boolean },
): Promise<void> {
  await api.create('/api/v1/namespaces', {
    metadata: {
      name,
      labels: {
        'pod-security.kubernetes.io/enforce': 'restricted',
        'pod-security.kubernetes.io/warn': 'restricted',
      },
    },
  });
  const inside = `/api/v1/namespaces/${name}`;
  for (const [secret, keys] of brought)
    await api.create(`${inside}/secrets`, { metadata: { name: secret }, stringData: text(keys) });
  if (withCertificates)
    for (const secret of certificates)
      await api.create(`${inside}/secrets`, {
        metadata: { name: secret },
        stringData: text(['tls.crt', 'tls.key', 'ca.crt']),
      });
  for (const claim of claims) await bringClaim(api, name, claim);
  await bind(api, name);
}

/** The role `admin` in a namespace. */
export const bind = (api: Api, namespace: string): Promise<number> =>
  api.create(`/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`, {
    metadata: { name: 'deployer' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'deployer' }],
  });

async function bringClaim(api: Api, namespace: string, claim: string): Promise<void> {
  const shape = { accessModes: ['ReadWriteMany'], storageClassName: '' };
  const volume = `${namespace}-${claim}`;
  await api.create('/api/v1/persistentvolumes', {
    metadata: { name: volume },
    spec: {
      ...shape,
      capacity: { storage: '1Gi' },
      nfs: { server: 'files.example.com', path: `/${claim}` },
      claimRef: { namespace, name: claim },
    },
  });
  await api.create(`/api/v1/namespaces/${namespace}/persistentvolumeclaims`, {
    metadata: { name: claim },
    spec: { ...shape, volumeName: volume, resources: { requests: { storage: '1Gi' } } },
  });
}
