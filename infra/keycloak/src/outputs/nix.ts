import { modelsOf } from '../document/model-of.ts';
import { type PosternDocument } from '../document/postern-document.ts';
import { type ResolvedRealm } from '../document/resolve-realm.ts';
import { compileRealm } from '../realm/compile.ts';
import { stableJson } from '../realm/stable-json.ts';
import { deployed, type OutputFile } from './output.ts';
import { nix } from './quote.ts';

const secretPath = (name: string) => `/run/secrets/${name}`;

/** Options of a realm under their names in Nix (section 3.2). */
const realmOptionNames = {
  session_idle_timeout: 'sessionIdleTimeout',
  session_max_lifespan: 'sessionMaxLifespan',
  access_token_lifespan: 'accessTokenLifespan',
  password_min_length: 'passwordMinLength',
  password_require_uppercase: 'passwordRequireUppercase',
  password_require_digit: 'passwordRequireDigit',
  password_require_special_char: 'passwordRequireSpecialChar',
  password_history_count: 'passwordHistoryCount',
  brute_force_enabled: 'bruteForceEnabled',
  brute_force_max_attempts: 'bruteForceMaxAttempts',
  brute_force_lockout_duration: 'bruteForceLockoutDuration',
  require_mfa: 'requireMFA',
} as const satisfies Record<keyof ResolvedRealm['options'], string>;

const realmOptionsOf = ({ name, table, options, mfaMethods }: ResolvedRealm) => ({
  name,
  displayName: table.display_name ?? name,
  ...Object.fromEntries(
    Object.entries(realmOptionNames).map(([key, named]) => [named, options[key as keyof typeof realmOptionNames]]),
  ),
  mfaMethods,
});

/** What the document's waivers let be weaker, as `REALM.OPTION`. */
function waived({ findings, realms }: PosternDocument): string[] {
  return realms.flatMap(({ id }) =>
    Object.entries(realmOptionNames)
      .filter(([key]) =>
        findings.some(({ waiver, key: at }) => waiver && at === `keycloak.realm.${id}.overrides.${key}`),
      )
      .map(([, named]) => `${id}.${named}`),
  );
}

/** The options of the module `postern.keycloak` (section 3.2) with this document's values; secrets are paths. */
export function nixOptions(document: PosternDocument): Record<string, unknown> {
  const keycloak = deployed(document);
  const { database, tls, clustering, observability, resources, admin } = keycloak;
  return {
    enable: true,
    profile: document.profile.name,
    fipsMode: keycloak.fips_mode,
    security: { provider: keycloak.security.provider },
    deploymentMode: keycloak.deployment_mode,
    hostname: keycloak.hostname,
    listenAddress: keycloak.listen_address,
    port: keycloak.port,
    database: {
      host: database.host,
      port: database.port,
      name: database.name,
      username: database.username,
      usernameFile: database.username_file ?? null,
      passwordFile: database.password_file ?? secretPath('keycloak-db-password'),
      requireSSL: database.require_ssl,
      caFile: database.ca_file ?? null,
      clientCertificateFile: database.client_certificate_file ?? null,
      clientKeyFile: database.client_key_file ?? null,
    },
    tls: {
      certificateFile: tls.certificate_file,
      keyFile: tls.key_file,
      caFile: tls.ca_file,
      enableMTLS: tls.enable_mtls,
    },
    clustering: {
      enable: keycloak.deployment_mode === 'cluster',
      nodes: clustering.nodes,
      jgroupsBindAddr: clustering.jgroups_bind_addr,
      discovery: clustering.discovery,
      owners: clustering.owners,
      stickyRoutes: clustering.sticky_routes,
    },
    realms: Object.fromEntries(document.realms.map((realm) => [realm.id, realmOptionsOf(realm)])),
    waivers: waived(document),
    clients: Object.fromEntries(
      document.realms.flatMap((realm) =>
        realm.clients.map(({ id, clientId, table, fapi, requirePkce, requirePar, binding, authentication }) => [
          id,
          {
            realm: realm.id,
            clientId,
            name: table.name ?? clientId,
            type: table.type,
            enableFAPI: fapi,
            requirePKCE: requirePkce,
            requirePAR: requirePar,
            requireMTLS: authentication === 'certificate',
            certificateBoundTokens: binding === 'certificate',
            redirectUris: table.redirect_uris,
            webOrigins: table.web_origins,
            clientSecretFile:
              authentication === 'secret' ? (table.client_secret_file ?? secretPath(`${id}-client-secret`)) : null,
          },
        ]),
      ),
    ),
    adminUser: {
      username: admin.username,
      passwordFile: admin.password_file ?? secretPath('keycloak-admin-password'),
      allowedNetworks: admin.allowed_networks,
    },
    observability: {
      enable: observability.enable,
      lokiEndpoint: observability.loki_endpoint ?? null,
      otlpEndpoint: observability.otlp_endpoint ?? null,
      auditEvents: observability.audit_events,
    },
    resources: { heapSize: resources.heap_size, maxConnections: resources.max_connections },
  };
}

/** References of the document to sealed secrets, by the name under `/run/secrets`. */
function sealed(document: PosternDocument): [name: string, reference: string][] {
  const { keycloak, secrets } = document.document;
  const named: [string, string | undefined][] = [
    ['keycloak-admin-password', keycloak?.secrets?.admin_password ?? secrets?.keycloak_admin_password],
    ['keycloak-db-password', keycloak?.secrets?.db_password ?? secrets?.keycloak_db_password],
    ...document.realms.flatMap(({ clients }) =>
      clients.map(({ id, secretReference }): [string, string | undefined] => [`${id}-client-secret`, secretReference]),
    ),
  ];
  return named.flatMap(([name, reference]) => (reference ? [[name, reference] as [string, string]] : []));
}

/** `secrets.nix`: agenix's and sops-nix's own options for what the document seals (section 7.3). */
function secretsModule(document: PosternDocument): string {
  const age = Object.fromEntries(
    sealed(document)
      .filter(([, reference]) => reference.startsWith('age:'))
      .map(([name, reference]) => [name, reference.slice('age:'.length)]),
  );
  const sops = Object.fromEntries(
    sealed(document)
      .filter(([, reference]) => reference.startsWith('sops:'))
      .map(([name, reference]) => {
        const [file = '', key = ''] = reference.slice('sops:'.length).split('#');
        return [name, { file, key: key.replaceAll('.', '/') }];
      }),
  );
  const parts = [
    ...(Object.keys(age).length > 0
      ? [
          `  # agenix\n  age.secrets = builtins.mapAttrs (name: file: {\n    file = ../. + "/\${file}";\n    path = "/run/secrets/\${name}";\n    owner = "keycloak";\n    mode = "0400";\n  }) ${nix(age, 1)};`,
        ]
      : []),
    ...(Object.keys(sops).length > 0
      ? [
          `  # sops-nix\n  sops.secrets = builtins.mapAttrs (_: { file, key }: {\n    sopsFile = ../. + "/\${file}";\n    inherit key;\n    owner = "keycloak";\n    mode = "0400";\n  }) ${nix(sops, 1)};`,
        ]
      : []),
  ];
  return `# Generated from postern.toml, for a folder beside it: do not edit. Opened at boot, never in the store.\n{ ... }:\n{\n${parts.join('\n')}\n}\n`;
}

/**
 * A folder of modules, to be imported beside `infra/keycloak/nix`: `keycloak.nix` sets `postern.keycloak` (appendix B),
 * `secrets.nix` says which sealed files hold its secrets, `realm-NAME.json` is what the server imports.
 */
export function nixFiles(document: PosternDocument): OutputFile[] {
  const options = nix(nixOptions(document), 1);
  const realms = modelsOf(document).map((model) => ({
    path: `realm-${model.name}.json`,
    text: stableJson(compileRealm(model)),
  }));
  const files = `[ ${realms.map(({ path }) => `./${path}`).join(' ')} ]`;
  return [
    {
      path: 'keycloak.nix',
      text: `# Generated from postern.toml: do not edit.\n{ ... }:\n{\n  imports = [ { postern.keycloak.realmFiles = ${files}; } ];\n  postern.keycloak = ${options};\n}\n`,
    },
    { path: 'secrets.nix', text: secretsModule(document) },
    ...realms,
  ];
}
