import { type PosternDocument } from '../document/postern-document.ts';
import { deployed, type OutputFile } from './output.ts';
import { shellWord } from './quote.ts';

/** HCL takes JSON's strings; the agent's templates take Go's, which are the same for what a document can hold. */
const quoted = (text: string): string => JSON.stringify(text);

/** IA-5: a role of the database lives 90 days, a certificate 30 (section 7.1). */
export const lives = { databaseRole: '2160h', certificate: '720h' } as const;

const field = (name: string, path: string) => `{{ .Data.${name} | writeToFile ${quoted(path)} "" "" "0400" }}`;

/** The agent's templates: certificates, and where the document asks for one, a role of the database. */
export function agentTemplates(document: PosternDocument): Record<'certificate' | 'username' | 'password', string> {
  const { hostname, tls } = deployed(document);
  const credential = (name: string) => `{{ with secret "database/creds/keycloak" }}{{ .Data.${name} }}{{ end }}`;
  return {
    // Key, certificate and authority in one file, which the agent reads again when it is started anew.
    certificate:
      `{{ with pkiCert "keycloak-pki/issue/keycloak" ${quoted(`common_name=${hostname}`)} "ttl=${lives.certificate}" }}` +
      '{{ .Data.Key }}{{ .Data.Cert }}{{ .Data.CA }}' +
      `${field('Cert', tls.certificate_file)}${field('Key', tls.key_file)}${field('CA', tls.ca_file)}{{ end }}`,
    username: credential('username'),
    password: credential('password'),
  };
}

const template = (contents: string, destination: string, command?: string) => `template {
  contents    = ${quoted(contents)}
  destination = ${quoted(destination)}
  perms       = "0400"${
    command === undefined
      ? ''
      : `
  exec {
    command = ["sh", "-c", ${quoted(command)}]
  }`
  }
}
`;

/** `agent.hcl`: writes what the server reads, before it ends, and tells it. `$` of the environment is not expanded here. */
function agent(document: PosternDocument): string {
  const { database, tls } = deployed(document);
  const templates = agentTemplates(document);
  const folder = tls.certificate_file.replace(/\/[^/]*$/, '');
  const bundle = `${folder}/keycloak-bundle.pem`;
  const role = database.username_file
    ? template(templates.username, database.username_file) +
      template(
        templates.password,
        database.password_file ?? '/run/secrets/keycloak-db-password',
        'systemctl try-restart keycloak.service',
      )
    : '';
  return `# Generated from postern.toml: do not edit. The server's address and trust come from BAO_ADDR (VAULT_ADDR) and BAO_CACERT.
auto_auth {
  method {
    type = "approle"
    config = {
      role_id_file_path                   = "/etc/openbao/role-id"
      secret_id_file_path                 = "/etc/openbao/secret-id"
      remove_secret_id_file_after_reading = false
    }
  }
}
${template(templates.certificate, bundle, 'systemctl try-reload-or-restart nginx.service || true')}${role}`;
}

/**
 * `setup.sh`: the roles and the policy at the server. Each role of the database is a member of the fixed one, which owns the
 * tables, and acts as it: what one role made, the next one may change.
 */
function setup(document: PosternDocument): string {
  const { database, hostname } = deployed(document);
  const owner = database.username;
  const create = [
    `create role "{{name}}" login password '{{password}}' valid until '{{expiration}}' in role "${owner}"`,
    `alter role "{{name}}" set role "${owner}"`,
  ];
  const revoke = [
    `select pg_terminate_backend(pid) from pg_stat_activity where usename = '{{name}}'`,
    `drop role if exists "{{name}}"`,
  ];
  const url = `postgresql://${database.host}:${database.port}/${database.name}`;
  const policy = [
    ...(database.username_file ? ['path "database/creds/keycloak" { capabilities = ["read"] }'] : []),
    'path "keycloak-pki/issue/keycloak" { capabilities = ["update"] }',
  ].join('\n');
  const databasePart = database.username_file
    ? `
"$bao" read sys/mounts/database >/dev/null 2>&1 || "$bao" secrets enable database >/dev/null
# Its own limit is 32 days.
"$bao" secrets tune -max-lease-ttl=${lives.databaseRole} database/ >/dev/null
# DATABASE_URL names the administrator and how it proves itself: ${url}?sslmode=verify-full&sslcert=...&user=...
"$bao" write database/config/keycloak plugin_name=postgresql-database-plugin allowed_roles=keycloak \\
  connection_url="\${DATABASE_URL:?}" password_authentication=scram-sha-256 >/dev/null
"$bao" write database/roles/keycloak db_name=keycloak default_ttl="\${ROLE_TTL:-${lives.databaseRole}}" max_ttl="\${ROLE_TTL:-${lives.databaseRole}}" \\
  ${create.map((one) => `creation_statements=${shellWord(one)}`).join(' \\\n  ')} \\
  ${revoke.map((one) => `revocation_statements=${shellWord(one)}`).join(' \\\n  ')} >/dev/null
`
    : '';
  return `#!/bin/sh
# Generated from postern.toml: do not edit. What OpenBao (or Vault, as BAO=vault) needs for this Keycloak; run again it changes nothing.
#   BAO_ADDR=... BAO_TOKEN=... ${database.username_file ? 'DATABASE_URL=... ' : ''}./setup.sh
set -eu
bao=\${BAO:-bao}
${databasePart}
if ! "$bao" read sys/mounts/keycloak-pki >/dev/null 2>&1; then
  "$bao" secrets enable -path=keycloak-pki -max-lease-ttl=87600h pki >/dev/null
  "$bao" write keycloak-pki/root/generate/internal common_name=${shellWord(`${hostname} authority`)} key_type=ec key_bits=384 ttl=87600h >/dev/null
fi
"$bao" write keycloak-pki/roles/keycloak allowed_domains=${shellWord(hostname)} allow_bare_domains=true allow_subdomains=false \\
  allow_localhost=false allow_ip_sans=false key_type=ec key_bits=256 server_flag=true client_flag=false \\
  max_ttl="\${CERTIFICATE_TTL:-${lives.certificate}}" ttl="\${CERTIFICATE_TTL:-${lives.certificate}}" >/dev/null

"$bao" policy write keycloak - >/dev/null <<'END'
${policy}
END
"$bao" read sys/auth/approle >/dev/null 2>&1 || "$bao" auth enable approle >/dev/null
"$bao" write auth/approle/role/keycloak token_policies=keycloak token_ttl=1h token_max_ttl=0 secret_id_num_uses=0 >/dev/null
echo "role id: $("$bao" read -field=role_id auth/approle/role/keycloak/role-id)"
`;
}

/** `vault/`: section 7.2 for OpenBao and Vault: the agent's configuration, and what the server must be told once. */
export const vaultFiles = (document: PosternDocument): OutputFile[] => [
  { path: 'vault/agent.hcl', text: agent(document) },
  { path: 'vault/setup.sh', text: setup(document), executable: true },
];
