import { type PosternDocument } from '../document/postern-document.ts';
import { deployed, originOf, type OutputFile } from './output.ts';
import { shellWord } from './quote.ts';

/** TLS 1.3 first (SC-8); the one suite of FIPS lists for those who can only speak 1.2 (section 1.1). */
export const cipherSuites = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_AES_128_GCM_SHA256',
  'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
  'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
] as const;

/** The settings of a Keycloak server as its own environment variables; passwords are named by file only. */
export function serverEnvironment(document: PosternDocument): Record<string, string> {
  const keycloak = deployed(document);
  const { database, tls, clustering, observability, resources, fips_mode: fips } = keycloak;
  const cluster = keycloak.deployment_mode === 'cluster';
  const ssl = database.require_ssl
    ? `?sslmode=verify-full${database.ca_file ? `&sslrootcert=${database.ca_file}` : ''}${
        database.client_certificate_file
          ? `&sslcert=${database.client_certificate_file}&sslkey=${database.client_key_file ?? database.client_certificate_file.replace(/(\.[a-z]+)?$/, '-key$1')}`
          : ''
      }`
    : '';
  return {
    KC_HOSTNAME: originOf(document),
    KC_HTTP_ENABLED: 'false',
    KC_HTTP_HOST: keycloak.listen_address,
    KC_HTTPS_PORT: String(keycloak.port),
    KC_HTTPS_CERTIFICATE_FILE: tls.certificate_file,
    KC_HTTPS_CERTIFICATE_KEY_FILE: tls.key_file,
    KC_HTTPS_PROTOCOLS: fips ? 'TLSv1.3,TLSv1.2' : 'TLSv1.3',
    KC_HTTPS_CIPHER_SUITES: cipherSuites.join(','),
    KC_HTTPS_CLIENT_AUTH: tls.enable_mtls ? 'request' : 'none',
    KC_TRUSTSTORE_PATHS: tls.ca_file,
    KC_DB: 'postgres',
    KC_DB_URL: `jdbc:postgresql://${database.host}:${database.port}/${database.name}${ssl}`,
    KC_DB_USERNAME: database.username,
    KC_DB_POOL_MAX_SIZE: String(resources.max_connections),
    KC_DB_POOL_INITIAL_SIZE: String(Math.min(10, resources.max_connections)),
    KC_CACHE: cluster ? 'ispn' : 'local',
    ...(cluster
      ? {
          KC_CACHE_STACK: clustering.discovery === 'tcp' ? 'tcp' : 'jdbc-ping',
          KC_CACHE_EMBEDDED_MTLS_ENABLED: 'true',
          KC_SPI_CACHE_EMBEDDED_DEFAULT_SESSIONS_OWNERS: String(clustering.owners),
        }
      : {}),
    KC_HEALTH_ENABLED: 'true',
    KC_METRICS_ENABLED: String(observability.enable),
    KC_EVENT_METRICS_USER_ENABLED: String(observability.enable),
    KC_LOG_CONSOLE_OUTPUT: 'json',
    ...(observability.otlp_endpoint
      ? { KC_TRACING_ENABLED: 'true', KC_TRACING_ENDPOINT: observability.otlp_endpoint }
      : {}),
    // The approved mode takes no password under 14 characters: shorter ones, which moderate and low allow, are padded.
    ...(fips
      ? {
          KC_FEATURES: 'fips',
          KC_FIPS_MODE: 'strict',
          KC_SPI_PASSWORD_HASHING__PBKDF2_SHA512__MAX_PADDING_LENGTH: '14',
        }
      : {}),
    // 13.3: a fixed heap, and pauses that a login does not notice.
    JAVA_OPTS_KC_HEAP: `-Xms${resources.heap_size} -Xmx${resources.heap_size}`,
    JAVA_OPTS_APPEND: [
      '-XX:MaxGCPauseMillis=200',
      ...(cluster && clustering.discovery === 'tcp'
        ? [
            `-Djgroups.bind.address=${clustering.jgroups_bind_addr}`,
            `-Djgroups.tcpping.initial_hosts=${clustering.nodes.map((node) => `${node}[7800]`).join(',')}`,
          ]
        : []),
    ].join(' '),
  };
}

/** `keycloak.env`, for a shell (`set -a; . ./keycloak.env`), systemd or compose: every value in single quotes. */
export function envFiles(document: PosternDocument): OutputFile[] {
  const lines = Object.entries(serverEnvironment(document)).map(([name, value]) => `${name}=${shellWord(value)}`);
  return [{ path: 'keycloak.env', text: `${lines.join('\n')}\n` }];
}
