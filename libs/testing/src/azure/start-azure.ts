import { randomBytes, randomUUID } from 'node:crypto';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { developmentCa } from '../authority/development-ca.ts';
import { publishedKeys } from '../run/published-keys.ts';
import { startHttpsFront, type FrontAnswer, type FrontRequest, type HttpsFront } from '../run/https-front.ts';
import { createVault, VaultRefusal, type Vault, type VaultVersion } from './key-vault.ts';

/** A federated credential of the application: whose assertions are taken for its secret
 * (https://learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust). */
export type FederatedCredential = { issuer: string; subject: string };

/** One Key Vault and the login of its directory. */
export type Azure = HttpsFront & {
  tenantId: string;
  clientId: string;
  clientSecret: string;
  vault: Vault;
  /** The client secret has expired, or has been removed: no more tokens are given for it. */
  expireSecret(expired: boolean): void;
  expireTokens(): void;
  trust(credential: FederatedCredential): void;
};

const SCOPE = 'https://vault.azure.net/.default';
const RESOURCE = 'https://vault.azure.net';
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** `maxresults`: "up to 25 results" (rest/api/keyvault/secrets/get-secrets). */
const PAGE = 25;

/** A stand-in written from the public pages; see `key-vault.ts` for the rules of secrets. */
export async function startAzure(): Promise<Azure> {
  const vault = createVault();
  const [tenantId, clientId, clientSecret] = [randomUUID(), randomUUID(), randomBytes(20).toString('base64url')];
  const trusted: FederatedCredential[] = [];
  let tokens = new Set<string>();
  let expired = false;

  /**
   * Issuer and subject must equal those of the credential, and the keys are read at the issuer. Of algorithms only the one that
   * is supported is taken ("Important considerations and restrictions for federated identity credentials"): others "may work,
   * but have not been tested".
   */
  async function federated(assertion: string): Promise<boolean> {
    for (const { issuer, subject } of trusted) {
      const options = { issuer, subject, audience: 'api://AzureADTokenExchange', algorithms: ['RS256'] };
      const verified = async () =>
        jwtVerify(
          assertion,
          createLocalJWKSet(await publishedKeys(issuer, await developmentCa().certificate())),
          options,
        );
      if (await verified().catch(() => null)) return true;
    }
    return false;
  }

  /** https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow */
  async function login({ body }: FrontRequest): Promise<FrontAnswer> {
    const form = new URLSearchParams(body.toString());
    const good =
      form.get('client_assertion_type') === ASSERTION
        ? await federated(form.get('client_assertion') ?? '')
        : form.get('client_secret') === clientSecret && !expired;
    if (!good || form.get('client_id') !== clientId || !(form.get('scope') ?? '').split(' ').includes(SCOPE)) {
      const description = expired
        ? 'AADSTS7000222: The provided client secret keys for app are expired.'
        : 'AADSTS7000215: Invalid client secret provided.';
      return json(401, { error: 'invalid_client', error_description: description, error_codes: [7000215] });
    }
    const token = `eyJ.${randomBytes(24).toString('base64url')}`;
    tokens.add(token);
    return json(200, { token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599, access_token: token });
  }

  const front: HttpsFront = await startHttpsFront(async (request) => {
    const { pathname } = request.url;
    if (pathname.startsWith(`/${tenantId}/`)) return identity(request, pathname);
    const bearer = /^Bearer (.+)$/.exec(request.headers['authorization'] ?? '')?.[1];
    // The first call comes without a token and is told where to get one
    // (https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses).
    if (bearer === undefined || !tokens.has(bearer)) {
      const challenge = `Bearer authorization="${front.url}/${tenantId}", resource="${RESOURCE}"`;
      const error = { code: 'Unauthorized', message: 'AKV10000: Request is missing a Bearer or PoP token.' };
      return {
        ...json(401, { error }),
        headers: { 'content-type': 'application/json', 'www-authenticate': challenge },
      };
    }
    try {
      return operation(vault, front.url, request);
    } catch (error) {
      if (!(error instanceof VaultRefusal)) throw error;
      const { status, code, message, inner } = error;
      return json(status, { error: { code, message, ...(inner ? { innererror: { code: inner } } : {}) } });
    }
  }, labelOf);

  /** The directory's metadata (OpenID Connect Discovery 1.0) and its token endpoint. */
  async function identity(request: FrontRequest, pathname: string): Promise<FrontAnswer> {
    const base = `${front.url}/${tenantId}`;
    if (pathname.endsWith('/oauth2/v2.0/token')) return login(request);
    return json(200, {
      issuer: `${base}/v2.0`,
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      token_endpoint: `${base}/oauth2/v2.0/token`,
      jwks_uri: `${base}/discovery/v2.0/keys`,
    });
  }

  return {
    ...front,
    tenantId,
    clientId,
    clientSecret,
    vault,
    expireSecret: (now) => void (expired = now),
    expireTokens: () => void (tokens = new Set()),
    trust: (credential) => void trusted.push(credential),
  };
}

function labelOf({ method, url }: FrontRequest): string {
  const [, kind = '', , last] = url.pathname.split('/');
  if (!['secrets', 'deletedsecrets'].includes(kind)) return url.pathname.endsWith('/token') ? 'token' : 'login';
  return last === 'versions' ? 'versions' : `${method} ${kind}`;
}

function operation(vault: Vault, base: string, { method, url, body }: FrontRequest): FrontAnswer {
  const [, kind, name = '', version = '', more] = url.pathname.split('/').map(decodeURIComponent);
  const given = (body.length === 0 ? {} : JSON.parse(body.toString())) as Record<string, never>;
  const shown = (one: VaultVersion, withValue: boolean) => ({
    ...(withValue ? { value: one.value } : {}),
    id: `${base}/secrets/${name}/${one.version}`,
    ...(one.contentType === undefined ? {} : { contentType: one.contentType }),
    attributes: {
      enabled: one.enabled,
      created: one.created,
      updated: one.created,
      recoveryLevel: 'Recoverable+Purgeable',
    },
    tags: one.tags,
  });
  if (kind === 'deletedsecrets') {
    if (method === 'POST' && version === 'recover') {
      return json(200, shown(vault.recover(name), false));
    }
    if (method === 'DELETE') {
      vault.purge(name);
      return { status: 204 };
    }
    const { versions, at } = vault.deleted(name);
    return json(200, deletedBundle(base, name, at, shown(versions.at(-1) as VaultVersion, false)));
  }
  if (kind !== 'secrets' || more !== undefined) throw new VaultRefusal(404, 'NotFound', 'There is no such operation.');
  if (name === '') {
    const items = vault.names().map((one) => ({ ...shown(vault.newest(one), false), id: `${base}/secrets/${one}` }));
    return paged(items, base, url);
  }
  if (version === 'versions')
    return paged(
      vault.versions(name).map((one) => shown(one, false)),
      base,
      url,
    );
  switch (method) {
    case 'PUT':
      return json(200, shown(vault.set(name, given), true));
    case 'PATCH':
      return json(200, shown(vault.update(name, version, given), false));
    case 'DELETE': {
      const newest = vault.newest(name);
      return json(200, deletedBundle(base, name, vault.remove(name).at, shown(newest, false)));
    }
    default:
      return json(200, shown(vault.get(name, version), true));
  }
}

const RETENTION_SECONDS = 90 * 86_400;

const deletedBundle = (base: string, name: string, at: number, bundle: object) => ({
  ...bundle,
  recoveryId: `${base}/deletedsecrets/${name}`,
  deletedDate: at,
  scheduledPurgeDate: at + RETENTION_SECONDS,
});

/** `nextLink` is a whole address with a `$skiptoken`, null on the last page. */
function paged(items: object[], base: string, url: URL): FrontAnswer {
  const size = Math.min(Number(url.searchParams.get('maxresults') ?? PAGE) || PAGE, PAGE);
  const from = Number(url.searchParams.get('$skiptoken') ?? 0);
  const next = new URL(url.pathname + url.search, base);
  next.searchParams.set('$skiptoken', String(from + size));
  return json(200, { value: items.slice(from, from + size), nextLink: from + size < items.length ? next.href : null });
}

const json = (status: number, body: object): FrontAnswer => ({
  status,
  headers: { 'content-type': 'application/json; charset=utf-8' },
  body: JSON.stringify(body),
});
