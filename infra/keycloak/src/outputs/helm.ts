import { modelsOf } from '../document/model-of.ts';
import { type PosternDocument } from '../document/postern-document.ts';
import { compileRealm } from '../realm/compile.ts';
import { KEYCLOAK_VERSION } from '../realm/server-ids.ts';
import { stableJson } from '../realm/stable-json.ts';
import { serverEnvironment } from './env.ts';
import { deployed, type OutputFile } from './output.ts';
import { yaml } from './quote.ts';

/** `values.yaml`: Keycloak on Kubernetes; passwords come from secrets that the cluster has, by name. `rotation.yaml`: its keys' schedule. */
export function helmFiles(document: PosternDocument): OutputFile[] {
  const keycloak = deployed(document);
  const cluster = keycloak.deployment_mode === 'cluster';
  const values = {
    image: { repository: 'quay.io/keycloak/keycloak', tag: KEYCLOAK_VERSION },
    replicas: cluster ? Math.max(2, keycloak.clustering.nodes.length) : 1,
    hostname: keycloak.hostname,
    environment: serverEnvironment(document),
    passwordSecrets: { database: 'keycloak-db-password', administrator: 'keycloak-admin-password' },
    stickyRoutes: keycloak.clustering.sticky_routes,
    probes: { ready: '/health/ready', live: '/health/live', periodSeconds: 30, timeoutSeconds: 5, failureThreshold: 3 },
    podSecurityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containerSecurityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    networkPolicy: {
      ingressPort: keycloak.port,
      egress: [{ host: keycloak.database.host, port: keycloak.database.port }],
    },
    realms: Object.fromEntries(
      modelsOf(document).map((model) => [`realm-${model.name}.json`, stableJson(compileRealm(model))]),
    ),
  };
  return [
    { path: 'values.yaml', text: `# Generated from postern.toml: do not edit.${yaml(values)}\n` },
    {
      path: 'rotation.yaml',
      text: `# Generated from postern.toml: do not edit. Its image is yours, with the command postern in it. Sealed client secrets are files in Git: their schedule is the pipeline's.${yaml(rotation())}\n`,
    },
  ];
}

/** Signing keys a step a day (SC-12), with the document in a ConfigMap `postern` and the administrator's password in its secret. */
const rotation = () => ({
  apiVersion: 'batch/v1',
  kind: 'CronJob',
  metadata: { name: 'keycloak-rotate-keys' },
  spec: {
    schedule: '10 5 * * *',
    concurrencyPolicy: 'Forbid',
    jobTemplate: {
      spec: {
        backoffLimit: 2,
        template: {
          spec: {
            restartPolicy: 'Never',
            automountServiceAccountToken: false,
            securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
            containers: [
              {
                name: 'postern',
                image: 'postern-cli',
                args: ['keycloak', 'realm', 'rotate-keys', '--file', '/etc/postern/postern.toml'],
                env: [
                  {
                    name: 'KEYCLOAK_ADMIN_PASSWORD',
                    valueFrom: { secretKeyRef: { name: 'keycloak-admin-password', key: 'password' } },
                  },
                ],
                securityContext: {
                  allowPrivilegeEscalation: false,
                  readOnlyRootFilesystem: true,
                  capabilities: { drop: ['ALL'] },
                },
                volumeMounts: [{ name: 'document', mountPath: '/etc/postern', readOnly: true }],
              },
            ],
            volumes: [{ name: 'document', configMap: { name: 'postern' } }],
          },
        },
      },
    },
  },
});
