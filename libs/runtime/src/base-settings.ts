import { z } from 'zod';
import { ConfigurationError, flag, path, port, setting, type Parsed, type Settings } from './setting.ts';

const httpUrl = z.url({ protocol: /^https?$/ });
const optionalUrl = httpUrl.optional();

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

/** Postgres by certificate: the URL holds no password. */
export const postgresSettings = {
  POSTERN_POSTGRES_URL: setting(postgresUrl(), "The service's database, with the service's role and no password.", {
    example: 'postgresql://crypto_store@postgres:5432/crypto_store',
  }),
  POSTERN_POSTGRES_POOL_SIZE: setting(z.coerce.number().int().min(1).max(200), 'Connections of one replica.', {
    default: 10,
  }),
} satisfies Settings;

/** Only for the migration entry point. */
export const migrationSettings = {
  POSTERN_POSTGRES_OWNER_URL: setting(
    postgresUrl(),
    "The same database with the owner's role; used by migrations only.",
    {
      example: 'postgresql://crypto_store_owner@postgres:5432/crypto_store',
    },
  ),
} satisfies Settings;

export const cacheSettings = {
  POSTERN_CACHE_URL: setting(z.url({ protocol: /^rediss$/ }), 'The cache Redis (mutual TLS), with its user.', {
    example: 'rediss://crypto-store@redis-cache:6379',
  }),
  POSTERN_CACHE_PASSWORD: setting(z.string().min(1).max(1024).optional(), 'Password of that user.', { secret: true }),
} satisfies Settings;

export const busSettings = {
  POSTERN_BUS_URL: setting(
    z.url({ protocol: /^rediss$/ }),
    'The bus Redis (mutual TLS, its own instance), with its user.',
    {
      example: 'rediss://crypto-store@redis-bus:6380',
    },
  ),
  POSTERN_BUS_PASSWORD: setting(z.string().min(1).max(1024).optional(), 'Password of that user.', { secret: true }),
  POSTERN_BUS_TLS_CERT_PATH: setting(
    path,
    "PEM file with the bus client's certificate; the bus has its own client CA (R21).",
    {
      example: '/run/bus-tls/tls.crt',
    },
  ),
  POSTERN_BUS_TLS_KEY_PATH: setting(path, 'PEM file with its private key.', { example: '/run/bus-tls/tls.key' }),
  POSTERN_BUS_TLS_CA_PATH: setting(path, "PEM file with the CA of the bus server's certificate.", {
    example: '/run/bus-tls/ca.crt',
  }),
  POSTERN_AUDIT_LOG_KEY: setting(
    z.string().max(1024).optional(),
    "The log's verifier key, pinned: the relay believes no other but those that it endorsed (R27). Default: the first one seen.",
    { example: 'audit.example.com+8d4c2a11+AYk...' },
  ),
} satisfies Settings;

export const rootKeySettings = {
  POSTERN_ROOT_KEY: setting(z.enum(['local', 'aws-kms']), 'What wraps branch keys. `local` is for development (R6).', {
    default: 'aws-kms',
  }),
  POSTERN_ROOT_KEY_PATH: setting(path.optional(), 'The key file of the `local` root key.', {
    example: '.postern/root.key',
  }),
  POSTERN_ROOT_KEY_ARN: setting(
    z
      .string()
      .regex(/^arn:aws/)
      .max(2048)
      .optional(),
    'ARN of the KMS key that is the `aws-kms` root key.',
    { example: 'arn:aws:kms:eu-west-1:123456789012:key/0d990263-018e-4e65-a703-eff731de951e' },
  ),
  POSTERN_AWS_ROLE_ARN: setting(
    z
      .string()
      .regex(/^arn:aws/)
      .max(2048)
      .optional(),
    'Role that this workload takes on with its web identity token.',
    { example: 'arn:aws:iam::123456789012:role/postern-crypto-store' },
  ),
  POSTERN_AWS_TOKEN_PATH: setting(
    path.optional(),
    'File with that token, as the cluster projects it; read at each use.',
    {
      example: '/var/run/secrets/aws/token',
    },
  ),
  POSTERN_AWS_TOKEN_URL: setting(
    z.url({ protocol: /^https$/ }).optional(),
    "In place of that file: the realm's token endpoint, where the service gets its token over its certificate.",
    { example: 'https://id.example.com/realms/postern/protocol/openid-connect/token' },
  ),
  POSTERN_PREVIOUS_ROOT_KEY_PATH: setting(
    path.optional(),
    'A `local` key file that branch keys are moved away from; those of another KMS key need no setting.',
    { example: '/var/lib/postern/root.key' },
  ),
  POSTERN_AWS_ENDPOINT: setting(httpUrl.optional(), 'Where an AWS emulator answers.', { developmentOnly: true }),
  POSTERN_ROOT_KEY_WAIVER: setting(
    z.iso.date().optional(),
    'Accepts the `local` root key in production through this day (UTC). Never in `fedramp-high`.',
    { example: '2027-01-31' },
  ),
} satisfies Settings;

export const branchKeySettings = {
  POSTERN_BRANCH_KEY_SECONDS: setting(
    z.coerce.number().int().min(1).max(3_600),
    'How long a branch key stays in memory. What is destroyed is denied for as long before it goes (R33).',
    { default: 300 },
  ),
  POSTERN_DESTROYED_KEYS_PATH: setting(
    path.optional(),
    'List of destroyed keys and tenants, on a volume that is not restored with the database (R33).',
    { example: '/var/lib/postern/destroyed-keys.jsonl' },
  ),
} satisfies Settings;

export type BranchKeyConfig = { readonly cacheTtlMs: number; readonly destroyedPath: string | undefined };

export function branchKeyConfig(read: Parsed<typeof branchKeySettings>): BranchKeyConfig {
  return { cacheTtlMs: read.POSTERN_BRANCH_KEY_SECONDS * 1000, destroyedPath: read.POSTERN_DESTROYED_KEYS_PATH };
}

function postgresUrl() {
  return z.url({ protocol: /^postgres(ql)?$/ }).refine((url) => new URL(url).password === '');
}

export type RootKeyConfig = {
  /** A local key file that is only unwrapped with. */
  readonly previousPath?: string | undefined;
} & (
  | { readonly kind: 'local'; readonly path: string }
  | {
      readonly kind: 'aws-kms';
      readonly keyArn: string;
      readonly roleArn: string;
      /** Where the web identity token comes from: a file, or the realm's token endpoint. */
      readonly tokenSource: { readonly path: string } | { readonly url: string };
      readonly endpoint: string | undefined;
    }
);

/**
 * The root key that the settings name, with what that kind needs.
 * @throws ConfigurationError naming what is missing for it.
 */
export function rootKeyConfig(read: Parsed<typeof rootKeySettings>): RootKeyConfig {
  const needed = (name: 'POSTERN_ROOT_KEY_PATH' | 'POSTERN_ROOT_KEY_ARN' | 'POSTERN_AWS_ROLE_ARN') => {
    const value = read[name];
    if (value === undefined) missing.push(`${name}: is required with POSTERN_ROOT_KEY ${read.POSTERN_ROOT_KEY}`);
    return value ?? '';
  };
  const tokenSource = () => {
    const { POSTERN_AWS_TOKEN_PATH: file, POSTERN_AWS_TOKEN_URL: url } = read;
    if ((file === undefined) === (url === undefined)) {
      missing.push('POSTERN_AWS_TOKEN_PATH: exactly one of it and POSTERN_AWS_TOKEN_URL is required with aws-kms');
    }
    return url === undefined ? { path: file ?? '' } : { url };
  };
  const missing: string[] = [];
  const previousPath = read.POSTERN_PREVIOUS_ROOT_KEY_PATH;
  const config: RootKeyConfig =
    read.POSTERN_ROOT_KEY === 'local'
      ? { kind: 'local', path: needed('POSTERN_ROOT_KEY_PATH'), previousPath }
      : {
          kind: 'aws-kms',
          keyArn: needed('POSTERN_ROOT_KEY_ARN'),
          roleArn: needed('POSTERN_AWS_ROLE_ARN'),
          tokenSource: tokenSource(),
          endpoint: read.POSTERN_AWS_ENDPOINT,
          previousPath,
        };
  if (missing.length > 0) throw new ConfigurationError(missing);
  return config;
}

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
