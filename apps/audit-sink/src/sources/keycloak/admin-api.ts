import type { Egress } from '@postern/egress';
import { openProvider, readClientKey, type Provider } from '@postern/oidc';
import { ConfigurationError, type Now, type Secret } from '@postern/runtime';
import { importJWK, type CryptoKey } from 'jose';
import type { KeycloakRealm } from '../sources-config.ts';
import type { IdentityEvent } from './event.ts';

/** One page of a realm's stored events, oldest first. */
export type ReadPage = (asked: {
  kind: IdentityEvent['kind'];
  from: number;
  first: number;
  max: number;
}) => Promise<unknown[]>;

/** The Admin API did not give what it should; `code` is ours, the answer's text goes nowhere. */
export class AdminApiFailed extends Error {
  override readonly name = 'AdminApiFailed';
  readonly code: string;
  constructor(code: string) {
    super(`the Admin API gave no events: ${code}`);
    this.code = code;
  }
}

/** A page of events with everything that administrators wrote in them. */
export const PAGE_MAX_BYTES = 8 * 1024 * 1024;
/** A token is asked for anew so long before it ends. */
const MARGIN_MS = 10_000;

/**
 * The Admin API of one realm, as a client whose service account has `view-events` and nothing more. Everything goes by the
 * guarded way out (R35); a token is kept until shortly before it ends.
 * @throws ConfigurationError for a key that cannot be read.
 */
export function openAdminApi({ issuer, poll }: KeycloakRealm, { egress, now }: { egress: Egress; now: Now }): ReadPage {
  if (!poll) throw new ConfigurationError(['POSTERN_SOURCES_PATH: the realm is not polled']);
  const { kid, ...jwk } = readClientKey('POSTERN_SOURCES_PATH keyPath', poll.keyPath);
  const api = issuer.replace(/\/realms\/([^/]+)$/, '/admin/realms/$1');
  let opening: Promise<Provider> | undefined;
  let token: { value: Secret; until: number } | undefined;

  const open = async (): Promise<Provider> => {
    const key = (await importJWK(jwk, 'ES256')) as CryptoKey;
    const authentication = { method: 'private_key_jwt' as const, key, ...(kid === undefined ? {} : { kid }) };
    return openProvider({ issuer, clientId: poll.clientId, authentication, dispatcher: egress.dispatcher });
  };
  const provider = (): Promise<Provider> =>
    (opening ??= open().catch((error: unknown) => {
      opening = undefined;
      throw error;
    }));
  const accessToken = async (): Promise<Secret> => {
    if (token && token.until > now().getTime()) return token.value;
    const { accessToken: value, expiresIn = 60 } = await (await provider()).clientCredentials();
    token = { value, until: now().getTime() + expiresIn * 1_000 - MARGIN_MS };
    return value;
  };

  return async ({ kind, from, first, max }) => {
    const asked = new URLSearchParams({
      dateFrom: String(from),
      first: String(first),
      max: String(max),
      direction: 'asc',
    });
    const { status, body } = await egress.request(`${api}/${kind === 'user' ? 'events' : 'admin-events'}?${asked}`, {
      headers: { authorization: `Bearer ${(await accessToken()).reveal()}`, accept: 'application/json' },
      maxBytes: PAGE_MAX_BYTES,
    });
    if (status === 401 || status === 403) token = undefined;
    if (status !== 200) throw new AdminApiFailed(`status_${status}`);
    return pageOf(body, max);
  };
}

function pageOf(body: Uint8Array, max: number): unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    throw new AdminApiFailed('not_json');
  }
  if (!Array.isArray(value) || value.length > max) throw new AdminApiFailed('not_a_page');
  return value;
}
