import { type PosternDocument } from '../document/postern-document.ts';
import { KEYCLOAK_VERSION } from '../realm/server-ids.ts';
import { serverEnvironment } from './env.ts';
import { deployed, type OutputFile } from './output.ts';
import { yaml } from './quote.ts';

/** A dollar begins a variable in a compose file. */
const composed = (value: string) => value.replaceAll('$', '$$$$');

const START = composed(
  `export KC_DB_PASSWORD="$(cat /run/secrets/keycloak-db-password)" KC_BOOTSTRAP_ADMIN_PASSWORD="$(cat /run/secrets/keycloak-admin-password)"; exec /opt/keycloak/bin/kc.sh start --import-realm`,
);

/** `compose.yaml`: the server, and its PostgreSQL where the deployment is embedded. Passwords come from files. */
export function composeFiles(document: PosternDocument): OutputFile[] {
  const keycloak = deployed(document);
  const { database, tls, clustering } = keycloak;
  const own = keycloak.deployment_mode === 'embedded';
  const names =
    keycloak.deployment_mode === 'cluster'
      ? clustering.nodes.length > 0
        ? clustering.nodes.map((_node, at) => `keycloak-${at + 1}`)
        : ['keycloak-1', 'keycloak-2']
      : ['keycloak'];
  const environment = Object.fromEntries(
    Object.entries(serverEnvironment(document)).map(([name, value]) => [name, composed(value)]),
  );
  const service = {
    image: `quay.io/keycloak/keycloak:${KEYCLOAK_VERSION}`,
    // Keycloak reads no password from a file by itself.
    entrypoint: ['/bin/bash', '-c', START],
    environment: {
      ...environment,
      ...(own ? { KC_DB_URL: `jdbc:postgresql://postgres:5432/${database.name}?sslmode=require` } : {}),
    },
    secrets: ['keycloak-db-password', 'keycloak-admin-password'],
    volumes: [
      './:/opt/keycloak/data/import:ro',
      ...[...new Set([tls.certificate_file, tls.key_file, tls.ca_file])].map((file) => `${file}:${file}:ro`),
    ],
    read_only: true,
    tmpfs: ['/tmp', '/opt/keycloak/data/tmp'],
    cap_drop: ['ALL'],
    security_opt: ['no-new-privileges:true'],
    restart: 'unless-stopped',
    ...(own ? { depends_on: ['postgres'] } : {}),
  };
  const compose = {
    name: `${document.document.app.name}-keycloak`,
    services: {
      ...Object.fromEntries(
        names.map((name, at) => [
          name,
          { ...service, ...(at === 0 ? { ports: [`${keycloak.port}:${keycloak.port}`] } : {}) },
        ]),
      ),
      ...(own
        ? {
            postgres: {
              image: 'postgres:18',
              command: [
                'postgres',
                '-c',
                'ssl=on',
                '-c',
                `ssl_cert_file=${tls.certificate_file}`,
                '-c',
                `ssl_key_file=${tls.key_file}`,
              ],
              environment: {
                POSTGRES_DB: database.name,
                POSTGRES_USER: database.username,
                POSTGRES_PASSWORD_FILE: '/run/secrets/keycloak-db-password',
              },
              secrets: ['keycloak-db-password'],
              volumes: [
                'keycloak-data:/var/lib/postgresql',
                `${tls.certificate_file}:${tls.certificate_file}:ro`,
                `${tls.key_file}:${tls.key_file}:ro`,
              ],
              restart: 'unless-stopped',
            },
          }
        : {}),
    },
    secrets: {
      'keycloak-db-password': { file: database.password_file ?? './secrets/keycloak-db-password' },
      'keycloak-admin-password': { file: keycloak.admin.password_file ?? './secrets/keycloak-admin-password' },
    },
    ...(own ? { volumes: { 'keycloak-data': {} } } : {}),
  };
  return [{ path: 'compose.yaml', text: `# Generated from postern.toml: do not edit.${yaml(compose)}\n` }];
}
