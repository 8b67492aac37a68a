import { rootCertificates } from 'node:tls';
import { Agent, fetch as undiciFetch } from 'undici';
import { postForm } from './post-form.ts';
import type { KeycloakSettings } from './settings.ts';
import { exchangeForm, grantedIn, withToken, type TokenEndpoint } from './token-endpoint.ts';
import type { Trace } from './trace.ts';
import { createTokenCheck } from './verify-token.ts';

export type EndpointOptions = { trace: Trace | undefined; now: () => Date; ca?: string | undefined };

/**
 * Keycloak's Standard Token Exchange V2, as a confidential client by HTTP Basic: the guide's way. It has no delegation and binds nothing; it drops a
 * scope without a word where the person lacks the role, which is why what came is checked.
 * @param ca PEM of an authority to trust besides the public ones
 */
export function keycloakEndpoint(
  settings: Omit<KeycloakSettings, 'kind' | 'audience'>,
  { trace, now, ca }: EndpointOptions,
): TokenEndpoint {
  const realm = `${settings.serverUrl.replace(/\/+$/, '')}/realms/${encodeURIComponent(settings.realm)}`;
  const protocol = `${realm}/protocol/openid-connect`;
  const service = 'keycloak';
  const dispatcher = new Agent(ca === undefined ? {} : { connect: { ca: [...rootCertificates, ca] } });
  const fetching = (url: string | URL, init?: object) =>
    undiciFetch(url, { ...init, dispatcher }) as unknown as Promise<Response>;
  const authority = async () => ({ issuer: realm, jwksUri: `${protocol}/certs`, fetch: fetching as typeof fetch });
  // RFC 6749 section 2.3.1: each half is form-encoded before the Base64.
  const [id, secret] = [settings.clientId, settings.clientSecret].map((half) => encodeURIComponent(half));
  const authorization = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
  return {
    service,
    async exchange(asked) {
      // Keycloak does not know what a justification is.
      const form = exchangeForm({ ...asked, justification: undefined });
      const call = { service, dispatcher, url: new URL(`${protocol}/token`), form, signal: asked.signal, trace };
      return grantedIn(
        service,
        asked.scopes,
        await postForm({ ...call, headers: { ...asked.headers, authorization } }),
      );
    },
    verify: createTokenCheck(authority, service, now),
    ownTokenServes: true,
    binding: () => '',
    send: (url, init, token) => fetching(url, { ...init, headers: withToken(init, 'Bearer', token) }),
    close: () => dispatcher.close(),
  };
}
