import { ConfigurationError, parseSettings, path, setting, type BaseConfig } from '@postern/runtime';
import { serviceConfig, serviceSettings, type ServiceConfig } from '@postern/service/config';
import { z } from 'zod';
import { returnPages, type ReturnPages } from './consents/return-to.ts';

const https = z.url({ protocol: /^https$/ });
const words = (word: z.ZodString) =>
  z
    .string()
    .transform((text) => text.split(/[\s,]+/).filter((part) => part !== ''))
    .pipe(z.array(word));

const json = <T extends z.ZodType>(schema: T) =>
  z
    .string()
    .transform((text, context) => {
      try {
        return JSON.parse(text) as unknown;
      } catch {
        context.addIssue({ code: 'custom', message: 'is not JSON' });
        return z.NEVER;
      }
    })
    .pipe(schema);

/** What the environment must give: this service's reference, from which the README's table is generated. */
export const settings = {
  ...serviceSettings,
  POSTERN_AUDIT_SINK_URL: setting(https, 'Where the audit log answers (its api listener).', {
    example: 'https://audit-sink.example.internal:8443',
  }),
  POSTERN_OIDC_ISSUER: setting(https, 'The identity provider whose grants are kept here: its issuer, exactly.', {
    example: 'https://keycloak.example.com/realms/acme',
  }),
  POSTERN_PROVIDER_CLIENT_ID: setting(z.string().min(1).max(128), 'This service as a client of the provider.', {
    default: 'auth-manager',
  }),
  POSTERN_PROVIDER_CLIENT_KEY_PATH: setting(
    path.optional(),
    'JWK file with the private P-256 key of `private_key_jwt`. Absent: a key is made on the first start, sealed in Postgres. Either way its public half is at `/.well-known/provider-client.json` of the public listener.',
    { example: '/run/provider/client.jwk' },
  ),
  POSTERN_PROVIDER_CA_PATH: setting(
    path.optional(),
    'PEM file with an authority that vouches for the provider, besides the public ones. Default: POSTERN_TLS_CA_PATH.',
    { example: '/etc/postern/provider-ca.crt' },
  ),
  POSTERN_PROVIDER_HOSTS: setting(
    words(z.string().min(1).max(253)),
    'Hosts (`host` or `host:port`) inside the network at which tenants may register providers of their own; any other must be at public addresses (R35).',
    { default: [], example: 'keycloak.acme.internal:8443' },
  ),
  POSTERN_PROVIDER_SCOPES: setting(
    words(z.string().max(128)).optional(),
    'Scopes of consents that the provider knows too: they are asked for there, and count only when granted there.',
    { example: 'records:read records:write' },
  ),
  POSTERN_LOGOUT_AUDIENCES: setting(
    words(z.string().min(1).max(128)),
    'Clients of the provider whose logout tokens are taken (R15): those that may obtain the audience token-exchange.',
    { default: ['auth-manager', 'portal', 'job'], example: 'auth-manager portal job' },
  ),
  POSTERN_CONSENT_RETURN_TO: setting(
    json(returnPages).optional(),
    'Where each client may send a browser after a consent: JSON, client id to exact URLs.',
    { example: '{"portal":["https://portal.example.com/consents"]}' },
  ),
};

export type Config = ServiceConfig & {
  /** The origin of the public listener as browsers and the provider reach it. */
  readonly publicUrl: string;
  readonly auditSinkUrl: string;
  readonly provider: {
    readonly issuer: string;
    readonly clientId: string;
    readonly clientKeyPath: string | undefined;
    readonly caPath: string | undefined;
    readonly scopes: readonly string[];
    /** Hosts inside the network that tenants' providers may have. */
    readonly hosts: readonly string[];
    readonly logoutAudiences: readonly string[];
  };
  readonly returnPages: ReturnPages;
};

/**
 * The configuration, frozen.
 * @throws ConfigurationError listing every mistake, with what this environment refuses (R6).
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const read = parseSettings(settings, env);
  const urls = {
    POSTERN_AUDIT_SINK_URL: read.POSTERN_AUDIT_SINK_URL,
    POSTERN_OIDC_ISSUER: read.POSTERN_OIDC_ISSUER,
  };
  const common = serviceConfig(read, { env, settings, urls });
  return Object.freeze({
    ...common,
    publicUrl: publicOrigin(common.base),
    auditSinkUrl: read.POSTERN_AUDIT_SINK_URL,
    provider: {
      issuer: read.POSTERN_OIDC_ISSUER,
      clientId: read.POSTERN_PROVIDER_CLIENT_ID,
      clientKeyPath: read.POSTERN_PROVIDER_CLIENT_KEY_PATH,
      caPath: read.POSTERN_PROVIDER_CA_PATH,
      scopes: read.POSTERN_PROVIDER_SCOPES ?? [],
      hosts: read.POSTERN_PROVIDER_HOSTS,
      logoutAudiences: read.POSTERN_LOGOUT_AUDIENCES,
    },
    returnPages: read.POSTERN_CONSENT_RETURN_TO ?? {},
  });
}

/** Consent links and redirects are made from it, so it must be the exact https origin that browsers see. */
function publicOrigin({ publicUrl }: BaseConfig): string {
  const url = publicUrl === undefined ? null : URL.parse(publicUrl);
  if (url?.protocol !== 'https:' || url.pathname !== '/' || url.search !== '') {
    throw new ConfigurationError(['POSTERN_PUBLIC_URL: must be the https origin of the public listener']);
  }
  return url.origin;
}
