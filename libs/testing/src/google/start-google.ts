import { createHash, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import { importSPKI, jwtVerify } from 'jose';
import { startHttpsFront, type FrontAnswer, type FrontRequest, type HttpsFront } from '../run/https-front.ts';
import {
  createGoogleStore,
  GoogleRefusal,
  type GoogleSecret,
  type GoogleStore,
  type GoogleVersion,
} from './secret-store.ts';

/** Google Secret Manager's REST API, and the token endpoint before it, as far as a client of secrets uses them. */
export type Google = HttpsFront & {
  projectId: string;
  /** The document of a service account, as the console gives it. */
  serviceAccount: Record<string, string>;
  tokenEndpoint: string;
  store: GoogleStore;
  /** Ends every access token, as their hour does. */
  expireTokens(): void;
  /** The account's key is deleted: no more tokens are given for it. */
  deleteKey(deleted: boolean): void;
};

const PROJECT = 'postern-tests';
const TOKEN_AUDIENCE = 'https://oauth2.googleapis.com/token';
const TOKEN_SECONDS = 3_600;

/** A stand-in written from the public pages; see `secret-store.ts` for the rules of secrets and versions. */
export async function startGoogle(): Promise<Google> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const account = serviceAccountOf(privateKey);
  const verifying = await importSPKI(publicKey.export({ type: 'spki', format: 'pem' }).toString(), 'RS256');
  const store = createGoogleStore();
  let tokens = new Set<string>();
  let keyDeleted = false;

  /** RFC 7523; "Using OAuth 2.0 for Server to Server Applications" (https://developers.google.com/identity/protocols/oauth2/service-account). */
  async function token({ body }: FrontRequest): Promise<FrontAnswer> {
    const form = new URLSearchParams(body.toString());
    const asked = await jwtVerify(form.get('assertion') ?? '', verifying, {
      issuer: account['client_email'] ?? '',
      audience: TOKEN_AUDIENCE,
      algorithms: ['RS256'],
      maxTokenAge: '1h',
    }).catch(() => null);
    if (!asked || keyDeleted) return json(400, { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' });
    const given = `ya29.${randomBytes(24).toString('base64url')}`;
    tokens.add(given);
    return json(200, { access_token: given, expires_in: TOKEN_SECONDS, token_type: 'Bearer' });
  }

  const front = await startHttpsFront(async (request) => {
    if (request.url.pathname === '/token') return token(request);
    const bearer = /^Bearer (.+)$/.exec(request.headers['authorization'] ?? '')?.[1];
    if (bearer === undefined || !tokens.has(bearer))
      return refused(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.');
    try {
      return json(200, operation(store, request));
    } catch (error) {
      if (error instanceof GoogleRefusal) return refused(error.status, error.code, error.message);
      throw error;
    }
  }, labelOf);

  return {
    ...front,
    projectId: PROJECT,
    serviceAccount: account,
    tokenEndpoint: `${front.url}/token`,
    store,
    expireTokens: () => void (tokens = new Set()),
    deleteKey: (deleted) => void (keyDeleted = deleted),
  };
}

const serviceAccountOf = (privateKey: KeyObject): Record<string, string> => ({
  type: 'service_account',
  project_id: PROJECT,
  private_key_id: randomBytes(20).toString('hex'),
  private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  client_email: `postern@${PROJECT}.iam.gserviceaccount.com`,
  client_id: '100000000000000000000',
  token_uri: TOKEN_AUDIENCE,
});

/** `access`, `addVersion`, ...: what is billed and counted. */
function labelOf({ method, url }: FrontRequest): string {
  const { pathname } = url;
  const custom = /:([a-zA-Z]+)$/.exec(pathname)?.[1];
  if (custom) return custom;
  return pathname === '/token' ? 'token' : `${method} ${/\/versions/.test(pathname) ? 'versions' : 'secrets'}`;
}

type GivenBody = {
  payload?: { data: string };
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  etag?: string;
};

/** The HTTP mapping of google.cloud.secretmanager.v1 (the paths of each method's page). */
function operation(store: GoogleStore, { method, url, body }: FrontRequest): object {
  const path = decodeURIComponent(url.pathname).replace(/^\/v1\//, '');
  const given = (body.length === 0 ? {} : JSON.parse(body.toString())) as GivenBody;
  const [name = '', custom] = path.split(':') as [string, string | undefined];
  if (custom === 'addVersion') {
    return shownVersion(store.addVersion(name, Buffer.from(given.payload?.data ?? '', 'base64')));
  }
  if (custom === 'access') {
    const version = store.access(name);
    // "Output only": the CRC32C of the data is given for checking; ours is left out, which the client takes.
    return { name: version.name, payload: { data: version.data.toString('base64') } };
  }
  const states = { enable: 'ENABLED', disable: 'DISABLED', destroy: 'DESTROYED' } as const;
  if (custom !== undefined && custom in states)
    return shownVersion(store.change(name, states[custom as keyof typeof states]));
  if (/\/secrets$/.test(name)) {
    const parent = name.replace(/\/secrets$/, '');
    if (method === 'POST') return shownSecret(store.create(parent, url.searchParams.get('secretId') ?? '', given));
    // `filter`: "name:prefix" matches a part of the name (docs/filtering).
    const all = store.list(parent, /^name:(.*)$/.exec(url.searchParams.get('filter') ?? '')?.[1] ?? '');
    return paged(all.map(shownSecret), 'secrets', url, 25_000);
  }
  if (/\/versions$/.test(name)) {
    const { versions } = store.secret(name.replace(/\/versions$/, ''));
    // Newest first (reference/rest/v1/projects.secrets.versions/list).
    return paged(versions.toReversed().map(shownVersion), 'versions', url, 25_000);
  }
  if (/\/versions\//.test(name)) return shownVersion(store.version(name));
  if (method === 'PATCH')
    return shownSecret(store.update(name, given, (url.searchParams.get('updateMask') ?? '').split(',')));
  if (method === 'DELETE') {
    store.remove(name);
    return {};
  }
  return shownSecret(store.secret(name));
}

/** `pageSize` and `pageToken`: the last page has no token (https://google.aip.dev/158). */
function paged<T>(all: T[], field: string, url: URL, most: number): object {
  const size = Math.min(Number(url.searchParams.get('pageSize') ?? most) || most, most);
  const from = Number(url.searchParams.get('pageToken') ?? 0);
  const next = from + size < all.length ? { nextPageToken: String(from + size) } : {};
  return { [field]: all.slice(from, from + size), ...next, totalSize: all.length };
}

const shownSecret = ({ versions: _versions, ...secret }: GoogleSecret) => ({
  ...secret,
  replication: { automatic: {} },
});
const shownVersion = ({ data, ...version }: GoogleVersion) => ({
  ...version,
  etag: `"${createHash('sha256').update(version.state).update(data).digest('hex').slice(0, 12)}"`,
});
const json = (status: number, body: object): FrontAnswer => ({
  status,
  headers: { 'content-type': 'application/json; charset=UTF-8' },
  body: JSON.stringify(body),
});
const refused = (status: number, code: string, message: string): FrontAnswer =>
  json(status, { error: { code: status, message, status: code } });
