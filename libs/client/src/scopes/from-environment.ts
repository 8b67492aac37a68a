import { readFileSync } from 'node:fs';
import type { CryptoKey } from 'jose';
import type { Audiences } from '../audiences.ts';
import { PosternError } from '../errors.ts';
import type { TlsIdentity } from '../options.ts';
import { tlsFromFiles } from '../tls-from-files.ts';
import { clientKey, createDpopKey } from './dpop.ts';
import { keycloakEndpoint, type EndpointOptions } from './keycloak-endpoint.ts';
import { openScopes, type Scopes, type ScopesOptions } from './open-scopes.ts';
import { posternByAssertion, posternByCertificate } from './postern-endpoint.ts';
import {
  missingSettings,
  readSettings,
  type Environment,
  type KeycloakSettings,
  type PosternSettings,
} from './settings.ts';
import { traceTo, type Trace } from './trace.ts';

type Common = Omit<ScopesOptions, 'audience'> & {
  /** Told of each request to the token endpoint and its answer, with everything secret taken out. */
  trace?: Trace;
  now?: () => Date;
};

export type KeycloakOptions = Common &
  Omit<KeycloakSettings, 'kind' | 'audience'> & {
    audience?: Audiences;
    /** PEM of an authority to trust besides the public ones. */
    ca?: string;
  };

export type PosternScopesOptions = Common & {
  tokenExchangeUrl: string;
  audience?: Audiences;
} & (
    | {
        /** The certificate to use now: asked at each call, so that a rotated one is used at once. */ tls: () => TlsIdentity;
      }
    | {
        clientId: string;
        /** A private P-256 key: JWK or PKCS #8 in PEM. */
        clientKey: string;
        /** The key pair that the caller's own token is bound to; a new one unless given. */
        dpopKey?: { privateKey: CryptoKey; publicKey: CryptoKey };
        /** PEM of the authorities to trust. */
        ca: string;
      }
  );

export type EnvironmentOptions = Common & {
  /** `process.env` unless given. */
  env?: Environment;
  /** `.env` of the current folder unless given. */
  envFile?: string;
  ca?: string;
};

const CONNECTIONS = 16;
const endpointOptions = ({ trace, now = () => new Date() }: Common, ca?: string): EndpointOptions => ({
  trace,
  now,
  ca,
});
const clock = (now: (() => Date) | undefined) => (now === undefined ? Date.now : () => now().getTime());

/** Scopes straight from Keycloak, by explicit settings. @throws PosternError `missing_configuration` naming what is empty */
export function fromKeycloak(options: KeycloakOptions): Scopes {
  const needed = {
    serverUrl: 'SERVER_URL',
    realm: 'REALM',
    clientId: 'CLIENT_ID',
    clientSecret: 'CLIENT_SECRET',
  } as const;
  const missing = Object.entries(needed).filter(([name]) => !options[name as keyof typeof needed]);
  if (missing.length > 0) throw missingSettings(missing.map(([, name]) => `KEYCLOAK_${name}`));
  const endpoint = keycloakEndpoint(options, endpointOptions(options, options.ca));
  return openScopes(endpoint, options, clock(options.now));
}

/** Scopes through Postern, by explicit settings. */
export function fromPostern(options: PosternScopesOptions): Scopes {
  const { tokenExchangeUrl: url } = options;
  if (!url) throw missingSettings(['POSTERN_TOKEN_EXCHANGE_URL']);
  const endpoint =
    'tls' in options
      ? posternByCertificate({ url, tls: options.tls, connections: CONNECTIONS }, endpointOptions(options))
      : posternByAssertion(
          {
            url,
            client: clientKey(options.clientId, options.clientKey),
            dpop: options.dpopKey && createDpopKey(options.dpopKey),
            ca: options.ca,
          },
          endpointOptions(options),
        );
  return openScopes(endpoint, options, clock(options.now));
}

/**
 * Scopes as the environment says: `KEYCLOAK_SERVER_URL`, `_REALM`, `_CLIENT_ID`, `_CLIENT_SECRET` and optionally `_AUDIENCE`, or `POSTERN_*`; each also by
 * `NAME_FILE`, and from a `.env` file. `POSTERN_CLIENT_DEBUG=true` prints the trace on standard error.
 * @throws PosternError `missing_configuration` with every missing name
 */
export function fromEnvironment({ env = process.env, envFile, ca, ...common }: EnvironmentOptions): Scopes {
  const settings = readSettings(env, envFile);
  const trace =
    common.trace ??
    (env['POSTERN_CLIENT_DEBUG'] === 'true' ? traceTo((line) => process.stderr.write(line)) : undefined);
  const all = { ...common, ...(trace && { trace }) };
  if (settings.kind === 'keycloak') return fromKeycloak({ ...all, ...settings, ...(ca !== undefined && { ca }) });
  return fromPostern({ ...all, ...posternOptions(settings) });
}

function posternOptions(settings: PosternSettings) {
  const { tokenExchangeUrl, audience, caPath } = settings;
  const common = { tokenExchangeUrl, ...(audience !== undefined && { audience }) };
  if ('certPath' in settings) {
    return { ...common, tls: tlsFromFiles({ cert: settings.certPath, key: settings.keyPath, ca: caPath }) };
  }
  const read = (name: string, path: string) => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      throw new PosternError('client', 'missing_configuration', { detail: `the file of ${name} cannot be read` });
    }
  };
  const key = read('POSTERN_CLIENT_KEY_PATH', settings.clientKeyPath);
  return { ...common, clientId: settings.clientId, clientKey: key, ca: read('POSTERN_TLS_CA_PATH', caPath) };
}
