import { z } from 'zod';
import { flag, path, port, setting, type Parsed, type Settings } from './setting.ts';

const optionalUrl = z.url({ protocol: /^https?$/ }).optional();

/** What every service reads. The names are the variables' own. */
export const baseSettings = {
  POSTERN_ENVIRONMENT: setting(
    z.enum(['production', 'development']),
    'What may run: `development` allows the parts that only development has; anything else refuses them (R6).',
    { default: 'production' },
  ),
  POSTERN_PROFILE: setting(
    z.enum(['fedramp-low', 'fedramp-moderate', 'fedramp-high']),
    'The security profile: lifetimes, lockout, algorithms, sender binding, sessions.',
    { default: 'fedramp-moderate' },
  ),
  POSTERN_FIPS: setting(
    flag.optional(),
    'Restrict algorithms to approved ones and refuse to start unless OpenSSL runs in FIPS mode. Default: `true` in `fedramp-high`, else `false`.',
    { example: 'false' },
  ),
  POSTERN_ROLE: setting(z.enum(['api', 'worker', 'all']), 'Which half of the service this replica runs.', {
    default: 'all',
  }),
  POSTERN_LOG_LEVEL: setting(z.enum(['debug', 'info', 'warn', 'error', 'silent']), 'The lowest level that is logged.', {
    default: 'info',
  }),
  POSTERN_LISTEN_HOST: setting(
    z.string().max(255).optional(),
    'Address of the api and public listeners. Default: `0.0.0.0` in production, `127.0.0.1` in development.',
    { example: '0.0.0.0' },
  ),
  POSTERN_API_PORT: setting(port, 'Port of the api listener (mutual TLS).', { default: 8443 }),
  POSTERN_PUBLIC_PORT: setting(port, 'Port of the public listener (TLS, no client certificate).', { default: 9443 }),
  POSTERN_MANAGEMENT_HOST: setting(z.string().max(255), 'Address of the management listener (plain HTTP).', {
    default: '127.0.0.1',
  }),
  POSTERN_MANAGEMENT_PORT: setting(port, 'Port of the management listener.', { default: 8081 }),
  POSTERN_PUBLIC_URL: setting(optionalUrl, 'Origin under which others reach this service.', {
    example: 'https://crypto-store.example.internal',
  }),
  POSTERN_INTERNAL_NETWORK: setting(
    flag,
    'Development in containers only: the network is internal and its ports are published on loopback, so other addresses than loopback may be listened on.',
    { default: false, developmentOnly: true },
  ),
  POSTERN_TLS_CERT_PATH: setting(
    path,
    "PEM file with this workload's certificate chain; replaced files are picked up.",
    {
      example: '/run/tls/tls.crt',
    },
  ),
  POSTERN_TLS_KEY_PATH: setting(path, "PEM file with the certificate's private key.", { example: '/run/tls/tls.key' }),
  POSTERN_TLS_CA_PATH: setting(path, 'PEM file with the CA certificates that peers must chain to.', {
    example: '/run/tls/ca.crt',
  }),
  POSTERN_TRUST_PATH: setting(
    path,
    "JSON file with the operator's table of trust domain, workloads and issuers (R1, R4).",
    {
      example: '/etc/postern/trust.json',
    },
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: setting(
    optionalUrl,
    'Where traces go. Load `@postern/runtime/otel` with `--import` where this is set.',
    { example: 'http://collector:4318' },
  ),
} satisfies Settings;

export type BaseConfig = {
  readonly environment: 'production' | 'development';
  readonly profile: 'fedramp-low' | 'fedramp-moderate' | 'fedramp-high';
  readonly fips: boolean;
  readonly role: 'api' | 'worker' | 'all';
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly listen: {
    readonly host: string;
    readonly apiPort: number;
    readonly publicPort: number;
    readonly managementHost: string;
    readonly managementPort: number;
    readonly internalNetwork: boolean;
  };
  readonly publicUrl: string | undefined;
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string };
  readonly trustPath: string;
};

/** The base settings in the shape that the libs take; parsed together with a service's own, so that all mistakes come in one error. */
export function baseConfig(read: Parsed<typeof baseSettings>): BaseConfig {
  const environment = read.POSTERN_ENVIRONMENT;
  return {
    environment,
    profile: read.POSTERN_PROFILE,
    fips: read.POSTERN_FIPS ?? read.POSTERN_PROFILE === 'fedramp-high',
    role: read.POSTERN_ROLE,
    logLevel: read.POSTERN_LOG_LEVEL,
    listen: {
      host: read.POSTERN_LISTEN_HOST ?? (environment === 'production' ? '0.0.0.0' : '127.0.0.1'),
      apiPort: read.POSTERN_API_PORT,
      publicPort: read.POSTERN_PUBLIC_PORT,
      managementHost: read.POSTERN_MANAGEMENT_HOST,
      managementPort: read.POSTERN_MANAGEMENT_PORT,
      internalNetwork: read.POSTERN_INTERNAL_NETWORK,
    },
    publicUrl: read.POSTERN_PUBLIC_URL,
    tls: { cert: read.POSTERN_TLS_CERT_PATH, key: read.POSTERN_TLS_KEY_PATH, ca: read.POSTERN_TLS_CA_PATH },
    trustPath: read.POSTERN_TRUST_PATH,
  };
}
