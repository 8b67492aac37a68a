import { type PosternDocument } from '../document/read-document.ts';
import { deployed, type OutputFile } from './output.ts';
import { nix } from './quote.ts';

const secretPath = (name: string) => `/run/secrets/${name}`;

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
      passwordFile: database.password_file ?? secretPath('keycloak-db-password'),
      requireSSL: database.require_ssl,
      clientCertificateFile: database.client_certificate_file ?? null,
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
    realms: Object.fromEntries(
      document.realms.map(({ id, name, table, options, mfaMethods }) => [
        id,
        {
          name,
          displayName: table.display_name ?? name,
          sessionIdleTimeout: options.session_idle_timeout,
          sessionMaxLifespan: options.session_max_lifespan,
          accessTokenLifespan: options.access_token_lifespan,
          passwordMinLength: options.password_min_length,
          passwordRequireUppercase: options.password_require_uppercase,
          passwordRequireDigit: options.password_require_digit,
          passwordRequireSpecialChar: options.password_require_special_char,
          passwordHistoryCount: options.password_history_count,
          bruteForceEnabled: options.brute_force_enabled,
          bruteForceMaxAttempts: options.brute_force_max_attempts,
          bruteForceLockoutDuration: options.brute_force_lockout_duration,
          requireMFA: options.require_mfa,
          mfaMethods,
        },
      ]),
    ),
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
    adminUser: { username: admin.username, passwordFile: admin.password_file ?? secretPath('keycloak-admin-password') },
    observability: {
      enable: observability.enable,
      lokiEndpoint: observability.loki_endpoint ?? null,
      otlpEndpoint: observability.otlp_endpoint ?? null,
      auditEvents: observability.audit_events,
    },
    resources: { heapSize: resources.heap_size, maxConnections: resources.max_connections },
  };
}

/** `keycloak.nix`: a NixOS module that sets `postern.keycloak` (appendix B). */
export const nixFiles = (document: PosternDocument): OutputFile[] => [
  {
    path: 'keycloak.nix',
    text: `# Generated from postern.toml: do not edit.\n{ ... }:\n{\n  postern.keycloak = ${nix(nixOptions(document), 1)};\n}\n`,
  },
];
