import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { PosternError } from '../errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Straight to Keycloak, as a confidential client with a secret. */
export type KeycloakSettings = {
  kind: 'keycloak';
  /** `https://keycloak.example.com`, without `/realms`. */
  serverUrl: string;
  realm: string;
  clientId: string;
  clientSecret: string;
  audience?: string;
};

/** Through Postern: by a client certificate on its api listener, or by an assertion and DPoP on its public one. */
export type PosternSettings = {
  kind: 'postern';
  tokenExchangeUrl: string;
  audience?: string;
  caPath: string;
} & ({ certPath: string; keyPath: string } | { clientId: string; clientKeyPath: string });

const KEYCLOAK = ['KEYCLOAK_SERVER_URL', 'KEYCLOAK_REALM', 'KEYCLOAK_CLIENT_ID', 'KEYCLOAK_CLIENT_SECRET'] as const;
const POSTERN = ['POSTERN_TOKEN_EXCHANGE_URL', 'POSTERN_TLS_CA_PATH'] as const;
const CERTIFICATE = ['POSTERN_TLS_CERT_PATH', 'POSTERN_TLS_KEY_PATH'] as const;
const ASSERTION = ['POSTERN_CLIENT_ID', 'POSTERN_CLIENT_KEY_PATH'] as const;

/**
 * Settings by name: a variable of the environment, else of the `.env` file (of the current folder unless named), else the content of the file that
 * `NAME_FILE` names, without the line end. `POSTERN_TOKEN_EXCHANGE_URL` decides for Postern, else it is Keycloak.
 * @throws PosternError `missing_configuration` with every missing name; never with a value
 */
export function readSettings(env: Environment, envFile = '.env'): KeycloakSettings | PosternSettings {
  const written = fromFile(envFile);
  const named = (name: string): string | undefined => env[name] || written[name] || undefined;
  const read = (name: string): string | undefined => {
    const path = named(`${name}_FILE`);
    return named(name) ?? (path === undefined ? undefined : contentOf(name, path));
  };
  const all = <Name extends string>(names: readonly Name[]): Record<Name, string> => {
    const found = Object.fromEntries(names.map((name) => [name, read(name)]));
    const missing = names.filter((name) => found[name] === undefined);
    if (missing.length > 0) throw missingSettings(missing);
    return found as Record<Name, string>;
  };
  if (read('POSTERN_TOKEN_EXCHANGE_URL') === undefined) {
    const found = all(KEYCLOAK);
    const audience = read('KEYCLOAK_AUDIENCE');
    return {
      kind: 'keycloak',
      serverUrl: found.KEYCLOAK_SERVER_URL,
      realm: found.KEYCLOAK_REALM,
      clientId: found.KEYCLOAK_CLIENT_ID,
      clientSecret: found.KEYCLOAK_CLIENT_SECRET,
      ...(audience !== undefined && { audience }),
    };
  }
  const audience = read('POSTERN_AUDIENCE');
  const byAssertion = ASSERTION.some((name) => read(name) !== undefined);
  const found = all([...POSTERN, ...(byAssertion ? ASSERTION : CERTIFICATE)]);
  const common = {
    kind: 'postern' as const,
    tokenExchangeUrl: found.POSTERN_TOKEN_EXCHANGE_URL,
    caPath: found.POSTERN_TLS_CA_PATH,
    ...(audience !== undefined && { audience }),
  };
  return byAssertion
    ? { ...common, clientId: found.POSTERN_CLIENT_ID, clientKeyPath: found.POSTERN_CLIENT_KEY_PATH }
    : { ...common, certPath: found.POSTERN_TLS_CERT_PATH, keyPath: found.POSTERN_TLS_KEY_PATH };
}

export const missingSettings = (names: readonly string[]): PosternError =>
  new PosternError('client', 'missing_configuration', {
    detail: `Missing required environment variables: ${names.join(', ')}`,
  });

function fromFile(path: string): Environment {
  try {
    return parseEnv(readFileSync(path, 'utf8')) as Environment;
  } catch {
    return {};
  }
}

function contentOf(name: string, path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '') || undefined;
  } catch {
    throw new PosternError('client', 'missing_configuration', { detail: `the file of ${name}_FILE cannot be read` });
  }
}
