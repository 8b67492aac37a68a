import { X509Certificate, getFips } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { BaseConfig } from './base-settings.ts';
import { ConfigurationError, type Settings } from './setting.ts';

/** The trust domain of `npm start` and of tests; its CA is name-constrained to it (R6). */
export const DEVELOPMENT_TRUST_DOMAIN = 'dev.postern.internal';

/** What of a line of the trust table is an address. */
const addresses = ['issuer', 'jwksUri', 'introspectionUri', 'uri'] as const;
type Addressed = { readonly [Place in (typeof addresses)[number]]?: string | undefined };

export type EnvironmentFacts = {
  readonly base: BaseConfig;
  readonly env: NodeJS.ProcessEnv;
  /** The settings of this service: those marked `developmentOnly` are refused in production. */
  readonly settings?: Settings;
  readonly trust?: {
    readonly trustDomain: string;
    readonly issuers: readonly Addressed[];
    /** Whose revocations are followed (R14). */
    readonly revocations?: readonly Addressed[] | undefined;
  };
  /** Other addresses that the service calls or that others call it by, under the name of their setting. */
  readonly urls?: Readonly<Record<string, string | undefined>>;
  readonly rootKey?: { readonly kind: string; readonly waiver?: string | undefined };
  readonly now?: () => Date;
};

const LOOPBACK = /^(localhost|127(\.\d+){3}|::1|0\.0\.0\.0)$/i;
/** The same in the spelling that URLs bring a host into, with the names of RFC 6761, 6.3, and with IPv4 in IPv6. */
const LOOPBACK_HOST =
  /^((.+\.)?localhost\.?|127(\.\d+){3}|0\.0\.0\.0|\[::1?\]|\[::ffff:(7f[0-9a-f]{2}:[0-9a-f]{1,4}|0:0)\])$/;

/**
 * R6, the checks that all services share. Production refuses the development trust domain or CA, plain-http or loopback issuers and
 * addresses, a trust table that follows no revocations (R14), endpoint overrides, settings that only development has, and the `local` root key without a waiver that is still good.
 * Development listens on loopback only. With FIPS on, OpenSSL must be in FIPS mode.
 * @throws ConfigurationError with every refusal at once.
 */
export function assertEnvironment(facts: EnvironmentFacts): void {
  const { base } = facts;
  const mistakes = base.environment === 'production' ? productionRefusals(facts) : developmentRefusals(base);
  if (base.fips && getFips() !== 1) mistakes.push('POSTERN_FIPS: OpenSSL does not run in FIPS mode');
  if (mistakes.length > 0) throw new ConfigurationError(mistakes);
}

function developmentRefusals({ listen }: BaseConfig): string[] {
  if (listen.internalNetwork) return [];
  const hosts = { POSTERN_LISTEN_HOST: listen.host, POSTERN_MANAGEMENT_HOST: listen.managementHost };
  return Object.entries(hosts)
    .filter(([, host]) => !LOOPBACK.test(host) || host === '0.0.0.0')
    .map(([name]) => `${name}: development listens on loopback only`);
}

function productionRefusals({
  base,
  env,
  settings = {},
  trust,
  urls = {},
  rootKey,
  now = () => new Date(),
}: EnvironmentFacts): string[] {
  const mistakes: string[] = [];
  const refuse = (name: string, why: string) => void mistakes.push(`${name}: production refuses ${why}`);

  if (trust?.trustDomain === DEVELOPMENT_TRUST_DOMAIN) refuse('POSTERN_TRUST_PATH', 'the development trust domain');
  if (isDevelopmentCa(base.tls.ca)) refuse('POSTERN_TLS_CA_PATH', 'the development CA');
  if (isDevelopmentCa(base.tls.cert)) refuse('POSTERN_TLS_CERT_PATH', 'a development certificate');

  if (trust && trust.issuers.length > 0 && !trust.revocations?.length)
    refuse('POSTERN_TRUST_PATH', 'a table that follows no revocations');
  for (const list of ['issuers', 'revocations'] as const) {
    trust?.[list]?.forEach((line, at) => {
      for (const place of addresses) {
        const url = line[place];
        const fault = url === undefined ? undefined : faultOf(url);
        if (fault) refuse(`POSTERN_TRUST_PATH ${list}.${at}.${place}`, fault);
      }
    });
  }
  for (const [name, url] of Object.entries({ POSTERN_PUBLIC_URL: base.publicUrl, ...urls })) {
    const fault = url === undefined ? undefined : faultOf(url);
    if (fault) refuse(name, fault);
  }

  const tokenUrl = env['POSTERN_AWS_TOKEN_URL'];
  const tokenFault = tokenUrl && URL.canParse(tokenUrl) ? faultOf(tokenUrl) : undefined;
  if (tokenFault) refuse('POSTERN_AWS_TOKEN_URL', tokenFault);

  for (const name of Object.keys(env).filter((name) => /^AWS_ENDPOINT_URL/.test(name) && env[name]))
    refuse(name, 'endpoint overrides');
  if (env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') refuse('NODE_TLS_REJECT_UNAUTHORIZED', 'unverified TLS');
  for (const [name, { options }] of Object.entries(settings)) {
    if (options.developmentOnly && (env[name] || env[`${name}_FILE`])) refuse(name, 'what only development has');
  }

  // Reading branch keys with a local root key is the same exposure as wrapping with it.
  const previous = env['POSTERN_PREVIOUS_ROOT_KEY_PATH'] || env['POSTERN_PREVIOUS_ROOT_KEY_PATH_FILE'];
  if (rootKey?.kind === 'local' || previous) {
    const today = now().toISOString().slice(0, 10);
    if (base.profile === 'fedramp-high')
      refuse('POSTERN_ROOT_KEY', 'the `local` root key in fedramp-high, also with a waiver');
    else if (!rootKey?.waiver) refuse('POSTERN_ROOT_KEY', 'the `local` root key without POSTERN_ROOT_KEY_WAIVER');
    else if (rootKey.waiver < today) refuse('POSTERN_ROOT_KEY_WAIVER', 'a waiver whose day has passed');
  }
  return mistakes;
}

function faultOf(url: string): string | undefined {
  const { protocol, hostname } = new URL(url);
  if (protocol === 'http:') return 'plain-http addresses';
  return LOOPBACK_HOST.test(hostname) ? 'loopback addresses' : undefined;
}

/** The development CA carries its name constraint, and its leaves their names, as plain text inside the DER. */
function isDevelopmentCa(path: string): boolean {
  let pem: string;
  try {
    pem = readFileSync(path, 'utf8');
  } catch {
    return false; // an unreadable file is the TLS material's own error, with a better name
  }
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.some((block) => new X509Certificate(block).raw.includes(DEVELOPMENT_TRUST_DOMAIN));
}
