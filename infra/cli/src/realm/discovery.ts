import { type Answer, type Postern } from '@postern/client';
import { CommandFailed, exitCodes } from '../outcome.ts';

/** A realm, and the client that asks: its certificate is the one that `postern` holds (RFC 8705 section 2). */
export type RealmClient = { issuer: string; clientId: string; postern: Postern };

export type RealmEndpoints = { authorization: string; pushedAuthorization: string; token: string };

/** OpenID Connect Discovery; endpoints for client certificates come from `mtls_endpoint_aliases` (RFC 8705 section 5). */
export async function endpointsOf({ issuer, postern }: RealmClient): Promise<RealmEndpoints> {
  const answer = await postern.fetch(`${issuer}/.well-known/openid-configuration`, { method: 'GET' });
  const document = jsonOf(answer, 'the realm') as Record<string, string> & {
    mtls_endpoint_aliases?: Record<string, string>;
  };
  const mutual = { ...document, ...document.mtls_endpoint_aliases };
  return {
    authorization: document['authorization_endpoint'] ?? '',
    pushedAuthorization: mutual['pushed_authorization_request_endpoint'] ?? '',
    token: mutual['token_endpoint'] ?? '',
  };
}

/** Posts a form over the client's certificate and reads the JSON of a 2xx answer. */
export async function postForm(
  { postern }: RealmClient,
  url: string,
  form: Record<string, string>,
): Promise<Record<string, unknown>> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const answer = await postern.fetch(url, { method: 'POST', headers, body: new URLSearchParams(form).toString() });
  return jsonOf(answer, new URL(url).pathname);
}

function jsonOf({ status, body }: Answer, what: string): Record<string, unknown> {
  const said = body.startsWith('{') ? (JSON.parse(body) as Record<string, unknown>) : {};
  if (status >= 200 && status < 300) return said;
  const reason = [said['error'], said['error_description']].filter((part) => typeof part === 'string').join(': ');
  throw new CommandFailed(exitCodes.refused, `${what} answered ${status}${reason ? ` ${reason}` : ''}`);
}

export function tokenOf(answer: Record<string, unknown>): string {
  const token = answer['access_token'];
  if (typeof token !== 'string')
    throw new CommandFailed(exitCodes.refused, 'the realm answered without an access token');
  return token;
}
