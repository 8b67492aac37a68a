import { inherited } from '@postern/testing';
import { pathToFileURL } from 'node:url';

import { type Service } from './services.ts';
import { type CertificatePaths, type Urls } from './state.ts';

/** Where a browser ends after a consent that the portal started; on auth-manager's list. Nothing listens there. */
export const RETURN_TO = 'https://127.0.0.1/grants';

/** What a service's environment is made of, beside its own ports. */
export type World = {
  profile: string;
  ports: Record<string, number>;
  urls: Record<Service, Urls>;
  certificates: Record<Service, CertificatePaths>;
  busCertificates: Record<Service, CertificatePaths>;
  databases: Record<Service, { url: string; ownerUrl: string }>;
  /** Paths of files that hold one Redis password each. */
  passwords: Record<Service, { cache: string; bus: string }>;
  trust: Record<Service, string>;
  rootKey: string;
  /** Lists of destroyed keys and tenants, kept outside the databases (R33). */
  destroyed: Record<Service, string>;
  policy: string;
  issuer: string;
  /** The folder that the log is published to. */
  published: string;
  /** auth-manager's key at the provider: a private JWK (R9). */
  providerClientKey: string;
};

/** Services that browsers, the identity provider and verifiers of tokens reach on the public listener. */
export const issuers: ReadonlySet<Service> = new Set(['token-exchange', 'auth-manager', 'key-proxy']);

/** The environment of one service; secrets come by file. */
export function environmentOf(service: Service, world: World): Record<string, string> {
  const tls = world.certificates[service];
  const busTls = world.busCertificates[service];
  return {
    ...inherited(),
    NODE_ENV: 'production',
    POSTERN_ENVIRONMENT: 'development',
    POSTERN_PROFILE: world.profile,
    POSTERN_LISTEN_HOST: '127.0.0.1',
    POSTERN_API_PORT: String(world.ports[`${service}-api`]),
    POSTERN_PUBLIC_PORT: String(world.ports[`${service}-public`]),
    POSTERN_MANAGEMENT_PORT: String(world.ports[`${service}-management`]),
    // What others call: its issuer's origin where it is one, else its api.
    POSTERN_PUBLIC_URL: issuers.has(service) ? world.urls[service].public : world.urls[service].api,
    POSTERN_TLS_CERT_PATH: tls.cert,
    POSTERN_TLS_KEY_PATH: tls.key,
    POSTERN_TLS_CA_PATH: tls.ca,
    POSTERN_TRUST_PATH: world.trust[service],
    POSTERN_POSTGRES_URL: world.databases[service].url,
    POSTERN_POSTGRES_OWNER_URL: world.databases[service].ownerUrl,
    POSTERN_CACHE_URL: `rediss://${service}@127.0.0.1:${world.ports['redis-cache']}`,
    POSTERN_CACHE_PASSWORD_FILE: world.passwords[service].cache,
    POSTERN_BUS_URL: `rediss://${service}@127.0.0.1:${world.ports['redis-bus']}`,
    POSTERN_BUS_PASSWORD_FILE: world.passwords[service].bus,
    POSTERN_BUS_TLS_CERT_PATH: busTls.cert,
    POSTERN_BUS_TLS_KEY_PATH: busTls.key,
    POSTERN_BUS_TLS_CA_PATH: busTls.ca,
    POSTERN_ROOT_KEY: 'local',
    POSTERN_ROOT_KEY_PATH: world.rootKey,
    POSTERN_DESTROYED_KEYS_PATH: world.destroyed[service],
    POSTERN_AUDIT_SINK_URL: world.urls['audit-sink'].api,
    POSTERN_TOKEN_EXCHANGE_URL: world.urls['token-exchange'].api,
    POSTERN_AUTH_MANAGER_URL: world.urls['auth-manager'].api,
    POSTERN_CRYPTO_STORE_URL: world.urls['crypto-store'].api,
    ...(service === 'audit-sink' ? { POSTERN_AUDIT_PUBLISH_TO: pathToFileURL(world.published).href } : {}),
    ...(service === 'token-exchange'
      ? {
          POSTERN_POLICY_PATH: world.policy,
          POSTERN_APPROVALS_CLIENT_ID: 'token-exchange',
          POSTERN_PROVIDER_ISSUER: world.issuer,
        }
      : {}),
    ...(service === 'auth-manager'
      ? {
          POSTERN_OIDC_ISSUER: world.issuer,
          POSTERN_PROVIDER_CLIENT_KEY_PATH: world.providerClientKey,
          POSTERN_CONSENT_RETURN_TO: JSON.stringify({ portal: [RETURN_TO] }),
        }
      : {}),
  };
}
