import { readFileSync } from 'node:fs';
import { cacheSettings, flag, parseSettings, setting, type Secret } from '@postern/runtime';
import { serviceConfig, serviceSettings, type ServiceConfig } from '@postern/service/config';
import { z } from 'zod';
import { secondFactors, type SecondFactor } from './accounts/account-policy.ts';

const httpsUrl = z.url({ protocol: /^https$/ });

const hostList = z
  .string()
  .max(4096)
  .regex(/^(?:[a-zA-Z0-9.:[\]-]+(?:,[a-zA-Z0-9.:[\]-]+)*)?$/);
const hostsIn = (list: string): string[] => list.split(',').filter((host) => host !== '');

/** What the environment must give: this service's reference, from which the README's table is generated. */
export const settings = {
  ...serviceSettings,
  POSTERN_PUBLIC_URL: setting(
    httpsUrl,
    'Origin under which others reach this service; the issuer of the tokens of its own accounts (R2).',
    { example: 'https://key-proxy.example.internal' },
  ),
  POSTERN_AUDIT_SINK_URL: setting(httpsUrl, 'Where the audit log answers (its api listener).', {
    example: 'https://audit-sink.example.internal:8443',
  }),
  POSTERN_TOKEN_EXCHANGE_URL: setting(httpsUrl, 'Where callers’ tokens are exchanged (its api listener; R5).', {
    example: 'https://token-exchange.example.internal:8443',
  }),
  POSTERN_CRYPTO_STORE_URL: setting(httpsUrl, 'Where the `crypto-store` provider is (its api listener).', {
    example: 'https://crypto-store.example.internal:8443',
  }),
  POSTERN_PROVIDER_TIMEOUT_SECONDS: setting(
    z.coerce.number().int().min(1).max(30),
    'How long one call to a provider, or to token-exchange for it, may take.',
    { default: 10 },
  ),
  POSTERN_CACHE_URL: setting(
    z.url({ protocol: /^rediss$/ }).optional(),
    'The cache Redis (mutual TLS), with its user. Without it values are read at their provider each time.',
    { example: 'rediss://key-proxy@redis-cache:6379' },
  ),
  POSTERN_CACHE_PASSWORD: cacheSettings.POSTERN_CACHE_PASSWORD,
  POSTERN_PROVIDER_PUBLIC_ADDRESSES: setting(
    flag,
    'Whether providers may be reached at public addresses, the clouds among them (R35).',
    { default: true },
  ),
  POSTERN_PROVIDER_HOSTS: setting(
    z
      .string()
      .max(4096)
      .regex(/^(?:[a-zA-Z0-9.:[\]-]+(?:,[a-zA-Z0-9.:[\]-]+)*)?$/),
    'Hosts (`host` or `host:port`, separated by commas) inside the network that tenants may name as a provider: an OpenBao.',
    { default: '' },
  ),
  POSTERN_PROVIDER_CA_PATH: setting(
    z.string().min(1).max(4096).optional(),
    'PEM file with the authorities of these hosts’ certificates. Default: the public ones.',
  ),
  POSTERN_SIGN_UP: setting(
    flag.optional(),
    'Whether anyone may create a company by `/signup` (R2). Default: `false` in production, `true` in development.',
    { example: 'false' },
  ),
  POSTERN_USE_PUBLIC_ADDRESSES: setting(
    flag,
    'Whether a secret may be used, without being shown, at hosts of public addresses (R35, R37).',
    { default: true },
  ),
  POSTERN_USE_HOSTS: setting(
    hostList,
    'Hosts (`host` or `host:port`, separated by commas) inside the network at which secrets may be used.',
    { default: '' },
  ),
  POSTERN_USE_CA_PATH: setting(
    z.string().min(1).max(4096).optional(),
    'PEM file with the authorities of these hosts’ certificates. Default: the public ones.',
  ),
  POSTERN_DISPLAY_EQUIVALENT_HOSTS: setting(
    hostList,
    'Hosts whose whole answer to a use may be given out: it is as good as the secret itself, which they may repeat.',
    { default: '' },
  ),
  POSTERN_SECOND_FACTOR: setting(
    z.enum(secondFactors).optional(),
    'Which accounts must have a second factor before they may do more than enrol one. Default: `nobody` in `fedramp-low`, `administrators` in `fedramp-moderate`.',
    { example: 'administrators' },
  ),
  POSTERN_BREACHED_PASSWORDS_PATH: setting(
    z.string().min(1).optional(),
    'File of passwords that are refused: one SHA-1 in hex a line, in order, with or without `:COUNT`. Default: a list of 49,000 common ones.',
    { example: '/etc/postern/pwned-passwords-sha1-ordered-by-hash.txt' },
  ),
};

export type Config = ServiceConfig & {
  readonly auditSinkUrl: string;
  readonly tokenExchangeUrl: string;
  readonly cryptoStoreUrl: string;
  /** `iss` of the tokens of accounts: an origin, without a slash at the end. */
  readonly issuer: string;
  readonly providerTimeoutSeconds: number;
  readonly cache: { readonly url: string; readonly password: Secret | undefined } | null;
  /** The way out to providers (R35). */
  readonly providerEgress: { publicAddresses: boolean; hosts: readonly string[]; authorities: string | undefined };
  readonly signUpOpen: boolean;
  /** The way out for uses without display (R37). */
  readonly use: {
    publicAddresses: boolean;
    hosts: readonly string[];
    authorities: string | undefined;
    displayEquivalentHosts: ReadonlySet<string>;
  };
  readonly secondFactor: SecondFactor | undefined;
  readonly breachedPasswordsPath: string | undefined;
};

/**
 * The configuration, frozen.
 * @throws ConfigurationError listing every mistake, with what this environment refuses (R6).
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const read = parseSettings(settings, env);
  const { POSTERN_AUDIT_SINK_URL, POSTERN_TOKEN_EXCHANGE_URL, POSTERN_CRYPTO_STORE_URL } = read;
  const urls = { POSTERN_AUDIT_SINK_URL, POSTERN_TOKEN_EXCHANGE_URL, POSTERN_CRYPTO_STORE_URL };
  const common = serviceConfig(read, { env, settings, urls });
  return Object.freeze({
    ...common,
    auditSinkUrl: POSTERN_AUDIT_SINK_URL,
    tokenExchangeUrl: POSTERN_TOKEN_EXCHANGE_URL,
    cryptoStoreUrl: POSTERN_CRYPTO_STORE_URL,
    issuer: new URL(read.POSTERN_PUBLIC_URL).origin,
    providerTimeoutSeconds: read.POSTERN_PROVIDER_TIMEOUT_SECONDS,
    cache:
      read.POSTERN_CACHE_URL === undefined
        ? null
        : { url: read.POSTERN_CACHE_URL, password: read.POSTERN_CACHE_PASSWORD },
    providerEgress: {
      publicAddresses: read.POSTERN_PROVIDER_PUBLIC_ADDRESSES,
      hosts: read.POSTERN_PROVIDER_HOSTS.split(',').filter((host) => host !== ''),
      authorities:
        read.POSTERN_PROVIDER_CA_PATH === undefined ? undefined : readFileSync(read.POSTERN_PROVIDER_CA_PATH, 'utf8'),
    },
    signUpOpen: read.POSTERN_SIGN_UP ?? common.base.environment === 'development',
    use: {
      publicAddresses: read.POSTERN_USE_PUBLIC_ADDRESSES,
      hosts: hostsIn(read.POSTERN_USE_HOSTS),
      authorities: read.POSTERN_USE_CA_PATH === undefined ? undefined : readFileSync(read.POSTERN_USE_CA_PATH, 'utf8'),
      displayEquivalentHosts: new Set(hostsIn(read.POSTERN_DISPLAY_EQUIVALENT_HOSTS)),
    },
    secondFactor: read.POSTERN_SECOND_FACTOR,
    breachedPasswordsPath: read.POSTERN_BREACHED_PASSWORDS_PATH,
  });
}
