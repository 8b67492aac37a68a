import { connect } from 'node:tls';

import { Agent, request } from 'undici';

import { type RealmRepresentation } from '../realm/representations.ts';

/** What one probe saw. */
export type Seen = { holds: boolean; observed: string };
export type Probe = (at: ProbedServer) => Promise<Seen>;
export type ProbedServer = { url: string; issuer: string; wanted: RealmRepresentation; get: Get; ca?: string };
type Answer = { status: number; headers: Record<string, string | string[] | undefined>; text: string };
type Get = (url: string, form?: Record<string, string>) => Promise<Answer>;

const protocolOf = (url: string, ca: string | undefined): Promise<string> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const socket = connect(
      {
        host: hostname,
        port: Number(port || 443),
        ...(ca ? { ca } : {}),
        ...(/^[\d.]+$/.test(hostname) ? {} : { servername: hostname }),
      },
      () => {
        resolve(socket.getProtocol() ?? 'none');
        socket.destroy();
      },
    );
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')));
    socket.on('error', reject);
  });

const authorizationPage = (
  { issuer, wanted, get }: ProbedServer,
  parameters: Record<string, string>,
  choose: (client: RealmRepresentation['clients'][number]) => boolean,
) => {
  const client = wanted.clients.find((one) => one.standardFlowEnabled && choose(one));
  if (!client) return undefined;
  const query = new URLSearchParams({
    client_id: client.clientId,
    response_type: 'code',
    scope: 'openid',
    redirect_uri: client.redirectUris[0] ?? '',
    ...parameters,
  });
  return get(`${issuer}/protocol/openid-connect/auth?${query.toString()}`);
};
const nothing: Seen = { holds: true, observed: 'no client that it would concern' };

/** Looks at a running server from outside, as anybody could: nothing is changed, nobody is logged in. */
export const probes: Record<string, Probe> = {
  'tls-1.3': async ({ url, ca }) => {
    const protocol = await protocolOf(url, ca);
    return { holds: protocol === 'TLSv1.3', observed: `negotiated ${protocol}` };
  },
  discovery: async ({ issuer, get }) => {
    const { status, text } = await get(`${issuer}/.well-known/openid-configuration`);
    const found = (status === 200 ? JSON.parse(text) : {}) as Record<string, unknown>;
    const missing = [
      'pushed_authorization_request_endpoint',
      'mtls_endpoint_aliases',
      'tls_client_certificate_bound_access_tokens',
      'authorization_response_iss_parameter_supported',
    ].filter((key) => !found[key]);
    const same = found['issuer'] === issuer;
    return {
      holds: same && missing.length === 0,
      observed: same ? `discovery lacks ${missing.join(', ') || 'nothing'}` : `the issuer is another one (${status})`,
    };
  },
  'jwks-es256': async ({ issuer, get }) => {
    const { text } = await get(`${issuer}/protocol/openid-connect/certs`);
    const { keys } = JSON.parse(text) as { keys: { alg: string; use: string }[] };
    const algorithms = [...new Set(keys.filter(({ use }) => use === 'sig').map(({ alg }) => alg))].sort();
    return {
      holds: algorithms.includes('ES256') && !algorithms.includes('RS256'),
      observed: `keys for ${algorithms.join(', ')}`,
    };
  },
  'client-without-proof': async ({ issuer, wanted, get }) => {
    const clients = wanted.clients.filter(({ publicClient, bearerOnly }) => !publicClient && !bearerOnly);
    const let_in: string[] = [];
    for (const { clientId } of clients) {
      const { status } = await get(`${issuer}/protocol/openid-connect/token`, {
        grant_type: 'client_credentials',
        client_id: clientId,
      });
      if (status < 400) let_in.push(clientId);
    }
    return {
      holds: let_in.length === 0,
      observed:
        let_in.length === 0
          ? `${clients.length} confidential clients refused without proof`
          : `let in: ${let_in.join(', ')}`,
    };
  },
  'unpushed-request': async (at) => {
    const page = await authorizationPage(
      at,
      {},
      ({ attributes }) => attributes['require.pushed.authorization.requests'] === 'true',
    );
    if (!page) return nothing;
    const refused = !/name="password"/.test(page.text);
    return {
      holds: refused,
      observed: refused
        ? `a request that was not pushed is refused (${page.status})`
        : 'a request that was not pushed gets a login form',
    };
  },
  'unknown-redirect': async (at) => {
    const page = await authorizationPage(at, { redirect_uri: 'https://nobody.invalid/' }, () => true);
    if (!page) return nothing;
    const refused = page.status === 400 && !String(page.headers['location'] ?? '').includes('nobody.invalid');
    return { holds: refused, observed: refused ? 'an unknown redirect address is refused' : `answered ${page.status}` };
  },
  hsts: async ({ issuer, get }) => {
    const { headers } = await get(`${issuer}/account/`);
    const value = String(headers['strict-transport-security'] ?? '');
    return { holds: /max-age=\d{7,}/.test(value), observed: value || 'no Strict-Transport-Security' };
  },
  'security-headers': async ({ issuer, get }) => {
    const { headers } = await get(`${issuer}/account/`);
    const missing = ['content-security-policy', 'x-content-type-options', 'x-frame-options', 'referrer-policy'].filter(
      (name) => !headers[name],
    );
    return {
      holds: missing.length === 0,
      observed: missing.length === 0 ? 'all are there' : `missing: ${missing.join(', ')}`,
    };
  },
};

/** Opens a plain client of the server, without certificate and without redirects. */
export function openProbing({ url, ca }: { url: string; ca?: string }) {
  const dispatcher = new Agent({ connect: ca ? { ca } : {} });
  const get: Get = async (at, form) => {
    const answer = await request(at, {
      dispatcher,
      ...(form
        ? {
            method: 'POST',
            headers: { 'content-type': 'application/x-www-form-urlencoded' },
            body: new URLSearchParams(form).toString(),
          }
        : {}),
    });
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  };
  return {
    at: (realm: string, wanted: RealmRepresentation): ProbedServer => ({
      url,
      issuer: `${url}/realms/${realm}`,
      wanted,
      get,
      ...(ca ? { ca } : {}),
    }),
    close: () => dispatcher.close(),
  };
}
