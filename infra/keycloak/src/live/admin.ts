import { Agent, request } from 'undici';

/** Keycloak refused an administrative request. */
export class KeycloakRefused extends Error {
  override name = 'KeycloakRefused';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Nobody answered. */
export class KeycloakUnreachable extends Error {
  override name = 'KeycloakUnreachable';
}

export type AdminOptions = {
  /** `https://auth.example.com`, without a path. */
  url: string;
  /** Trusted authority (PEM); the system's own unless given. */
  ca?: string;
  /** Over which the administration interface may ask for a certificate. */
  certificate?: { cert: string; key: string };
} & (
  | { username: string; password: string; realm?: string }
  /** A service account: `client_credentials`. */
  | { clientId: string; clientSecret: string; realm?: string }
);

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';
/** An import of a thousand clients takes Keycloak minutes. */
const CALL_TIMEOUT_MS = 900_000;
const EARLIER_MS = 10_000;

export type KeycloakAdmin = {
  get<T>(path: string): Promise<T>;
  /** As `get`, undefined where there is nothing. */
  find<T>(path: string): Promise<T | undefined>;
  /** Creates; returns the new id from `Location`, where the server names it. */
  post(path: string, body: unknown): Promise<string>;
  put(path: string, body: unknown): Promise<void>;
  delete(path: string, body?: unknown): Promise<void>;
  /** A POST with an answer (`partial-export`, `partialImport`); not counted among the writes. */
  ask<T>(path: string, body?: unknown): Promise<T>;
  /** How many requests have changed something. */
  writes(): number;
  /** Forgets the token: it names realms by role, and a new realm has new roles. */
  renew(): void;
  close(): Promise<void>;
};

/** Paths are those below `/admin/realms`, beginning with a slash. Requests go over kept connections, beside each other where the caller does not wait. */
export function openKeycloakAdmin(options: AdminOptions): KeycloakAdmin {
  const { url, ca, certificate, realm = 'master' } = options;
  const dispatcher = new Agent({ connect: { ...(ca ? { ca } : {}), ...certificate } });
  let token: { value: string; until: number } | undefined;
  let login: Promise<string> | undefined;
  let writes = 0;

  const send = async (at: string, init: { method: Method; headers: Record<string, string>; body?: string }) => {
    try {
      const answer = await request(at, {
        dispatcher,
        ...init,
        bodyTimeout: CALL_TIMEOUT_MS,
        headersTimeout: CALL_TIMEOUT_MS,
      });
      return {
        status: answer.statusCode,
        text: await answer.body.text(),
        location: String(answer.headers['location'] ?? ''),
      };
    } catch (cause) {
      throw new KeycloakUnreachable(`${new URL(url).host} does not answer: ${whyNot(cause)}`, { cause });
    }
  };

  const accessToken = async (): Promise<string> =>
    token && token.until > Date.now() ? token.value : (login ??= logIn().finally(() => (login = undefined)));
  const logIn = async (): Promise<string> => {
    const proof: Record<string, string> =
      'username' in options
        ? { grant_type: 'password', client_id: 'admin-cli', username: options.username, password: options.password }
        : { grant_type: 'client_credentials', client_id: options.clientId, client_secret: options.clientSecret };
    const answer = await send(`${url}/realms/${encodeURIComponent(realm)}/protocol/openid-connect/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(proof).toString(),
    });
    const body = parsed(answer.text) as { access_token?: string; expires_in?: number; error?: string } | undefined;
    if (!body?.access_token)
      throw new KeycloakRefused(answer.status, `the administrator was refused: ${body?.error ?? answer.status}`);
    token = { value: body.access_token, until: Date.now() + (body.expires_in ?? 60) * 1000 - EARLIER_MS };
    return token.value;
  };

  const call = async (method: Method, path: string, body?: unknown) => {
    const answer = await send(`${url}/admin/realms${path}`, {
      method,
      headers: { authorization: `Bearer ${await accessToken()}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (answer.status < 400) return answer;
    const said = parsed(answer.text) as
      { errorMessage?: string; error?: string; error_description?: string } | undefined;
    const why = said?.errorMessage ?? said?.error_description ?? said?.error ?? '';
    throw new KeycloakRefused(answer.status, `${method} ${path.split('?')[0]}: ${answer.status} ${why}`.trim());
  };
  const write = async (method: Method, path: string, body?: unknown) => {
    writes += 1;
    return call(method, path, body);
  };

  return {
    get: async <T>(path: string) => parsed((await call('GET', path)).text) as T,
    find: async <T>(path: string) => {
      try {
        return parsed((await call('GET', path)).text) as T;
      } catch (error) {
        if (error instanceof KeycloakRefused && error.status === 404) return undefined;
        throw error;
      }
    },
    ask: async <T>(path: string, body?: unknown) => parsed((await call('POST', path, body)).text) as T,
    post: async (path, body) => (await write('POST', path, body)).location.split('/').at(-1) ?? '',
    put: async (path, body) => void (await write('PUT', path, body)),
    delete: async (path, body) => void (await write('DELETE', path, body)),
    writes: () => writes,
    renew: () => (token = undefined),
    close: () => dispatcher.close(),
  };
}

function parsed(text: string): unknown {
  try {
    return text ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

const silences: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the name has no address',
  EAI_AGAIN: 'the name has no address',
  ECONNRESET: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  ETIMEDOUT: 'no connection in time',
  EHOSTUNREACH: 'there is no way to it',
  ENETUNREACH: 'there is no way to it',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
};

function whyNot(cause: unknown): string {
  const { code = '' } = cause as { code?: string };
  if (/SELF_SIGNED|UNABLE_TO_|ISSUER/.test(code)) return 'its certificate comes from an authority that is not trusted';
  return silences[code] ?? (code || 'the request failed');
}
