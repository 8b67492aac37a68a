import { Agent, fetch as undiciFetch, type Dispatcher } from 'undici';
import { PosternError } from '../errors.ts';
import { openIdentities } from '../identities.ts';
import type { TlsIdentity } from '../options.ts';
import { createDpopKey, type ClientKey, type DpopKey } from './dpop.ts';
import type { EndpointOptions } from './keycloak-endpoint.ts';
import { postForm } from './post-form.ts';
import { exchangeForm, grantedIn, withToken, type TokenEndpoint } from './token-endpoint.ts';
import { createTokenCheck, type TokenAuthority } from './verify-token.ts';

const service = 'token-exchange';
const fetchOver = (dispatcher: () => Dispatcher) =>
  ((url: string | URL, init?: object) =>
    undiciFetch(url, { ...init, dispatcher: dispatcher() }) as unknown as Promise<Response>) as typeof fetch;

/** The issuer as it names itself (RFC 8414), and its keys at the origin that was reached: the other listener may be out of reach. */
async function authorityAt(origin: string, fetching: typeof fetch): Promise<TokenAuthority> {
  try {
    const answer = await fetching(new URL('/.well-known/oauth-authorization-server', origin), {
      signal: AbortSignal.timeout(5_000),
    });
    const { issuer } = (await answer.json()) as { issuer?: unknown };
    if (typeof issuer !== 'string') throw new PosternError(service, 'unexpected_answer');
    return { issuer, jwksUri: new URL('/.well-known/jwks.json', origin).href, fetch: fetching };
  } catch (error) {
    if (error instanceof PosternError) throw error;
    throw new PosternError(service, 'unreachable', { detail: 'its metadata cannot be read' });
  }
}

/** Postern's api listener: this workload is its certificate, and tokens are bound to it (RFC 8705). */
export function posternByCertificate(
  { url, tls, connections }: { url: string; tls: () => TlsIdentity; connections: number },
  { trace, now }: EndpointOptions,
): TokenEndpoint {
  const identities = openIdentities({ tls, connections, now });
  const fetching = fetchOver(() => identities.current().agentFor(new URL(url).origin));
  return {
    service,
    async exchange(asked) {
      const endpoint = new URL('/token', url);
      const dispatcher = identities.forToken(asked.subjectToken).agentFor(endpoint.origin);
      const { signal } = asked;
      const call = {
        service,
        dispatcher,
        url: endpoint,
        form: exchangeForm(asked),
        headers: { ...asked.headers },
        signal,
        trace,
      };
      return grantedIn(service, asked.scopes, await postForm(call));
    },
    verify: createTokenCheck(() => authorityAt(url, fetching), service, now),
    ownTokenServes: false,
    binding: () => identities.current().thumbprint,
    send: (to, init, token) =>
      fetchOver(() => identities.forToken(token).agentFor(to.origin))(to, {
        ...init,
        headers: withToken(init, 'Bearer', token),
      }),
    close: () => identities.close(),
  };
}

/** Postern's public listener, without a certificate: `private_key_jwt` (RFC 7523), and tokens bound to a DPoP key (RFC 9449). */
export function posternByAssertion(
  { url, client, dpop: given, ca }: { url: string; client: ClientKey; dpop?: Promise<DpopKey> | undefined; ca: string },
  { trace, now }: EndpointOptions,
): TokenEndpoint {
  const dispatcher = new Agent({ connect: { ca, minVersion: 'TLSv1.3' } });
  const fetching = fetchOver(() => dispatcher);
  let opened: Promise<{ dpop: DpopKey; authority: TokenAuthority }> | undefined;
  const open = () =>
    (opened ??= Promise.all([given ?? createDpopKey(), authorityAt(url, fetching)]).then(
      ([dpop, authority]) => ({ dpop, authority }),
      (error: unknown) => {
        opened = undefined;
        throw error;
      },
    ));
  return {
    service,
    async exchange(asked) {
      const { dpop, authority } = await open();
      const endpoint = new URL('/token', url);
      const form = exchangeForm(asked);
      form.set('client_id', client.clientId);
      form.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
      form.set('client_assertion', await client.assertion(authority.issuer, now()));
      const headers = { ...asked.headers, dpop: await dpop.proof('POST', endpoint, now()) };
      const { signal } = asked;
      return grantedIn(
        service,
        asked.scopes,
        await postForm({ service, dispatcher, url: endpoint, form, headers, signal, trace }),
      );
    },
    verify: createTokenCheck(async () => (await open()).authority, service, now),
    ownTokenServes: false,
    binding: () => 'dpop',
    async send(to, init, token) {
      const { dpop } = await open();
      const headers = withToken(init, 'DPoP', token);
      headers.set('dpop', await dpop.proof(init.method ?? 'GET', to, now(), token));
      return fetching(to, { ...init, headers });
    },
    close: () => dispatcher.close(),
  };
}
