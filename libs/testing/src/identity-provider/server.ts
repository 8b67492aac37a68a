import { createServer, type Server } from 'node:https';
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';

import type Provider from 'oidc-provider';

import { discoveryDocument } from './endpoints/metadata.ts';
import { logoutByBrowser } from './endpoints/logout.ts';
import { userinfo } from './endpoints/userinfo.ts';
import { toFrontChannel } from './front-channel-scope.ts';
import { internalGrants } from './front-channel.ts';
import { interactionPath, openInteractions } from './interactions.ts';
import { errorPage, sendPage } from './pages.ts';
import { type ProviderState } from './provider-state.ts';
import { fapiKindOf } from './realm.ts';

const bodyLimitBytes = 64 * 1024;
const oidc = '/protocol/openid-connect';

/** PEM texts of a server: its certificate, its key, and the CA whose client certificates it believes. */
export type ServerCertificate = { cert: string; key: string; ca: string };

/** Sees each request first, and may change what becomes of its answer. @returns true where the realm shall not see it */
export type Between = (request: IncomingMessage, response: ServerResponse) => boolean;

/**
 * A TLS server that asks for a client certificate without insisting: a browser has none, and what a client presents
 * counts only when it was verified (RFC 8705, 6.5).
 */
function createTlsServer({ cert, key, ca }: ServerCertificate, insist = false): Server {
  // Node's own 5 s are over when a busy machine keeps the process from running for as long: its callers were reset.
  const kept = { keepAliveTimeout: 60_000 };
  return createServer({ cert, key, ca, minVersion: 'TLSv1.2', requestCert: true, rejectUnauthorized: insist, ...kept });
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > bodyLimitBytes) throw new Error('request body too large');
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}

/** The same request with another address and form, for oidc-provider, which reads its body from a stream. */
function replayed(request: IncomingMessage, url: string, form: URLSearchParams): IncomingMessage {
  const body = Buffer.from(form.toString());
  const { method, socket, httpVersion, httpVersionMajor, httpVersionMinor, rawHeaders } = request;
  const headers = { ...request.headers, 'content-length': String(body.length) };
  const copy = Readable.from([body], { objectMode: false });
  return Object.assign(copy, {
    headers,
    rawHeaders,
    method,
    url,
    socket,
    connection: socket,
    httpVersion,
    httpVersionMajor,
    httpVersionMinor,
  }) as unknown as IncomingMessage;
}

/** Serves one realm below its address; everything else is 404. */
export function createRealmServer(
  state: ProviderState,
  provider: Provider,
  certificate: ServerCertificate,
  between: Between = () => false,
): Server {
  const prefix = new URL(state.issuer).pathname;
  const passOn = provider.callback();
  const interact = openInteractions(provider, state);

  const json = (response: ServerResponse, body: unknown, headers: Record<string, string> = {}) =>
    response.writeHead(200, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));

  /** oidc-provider takes the part of the address before its own path from `originalUrl`. */
  const toProvider = (request: IncomingMessage, response: ServerResponse, path: string) => {
    Object.assign(request, { originalUrl: `${prefix}${path}`, url: path });
    return passOn(request, response);
  };
  const toTokenEndpoint = async (request: IncomingMessage, response: ServerResponse, grantType: string) => {
    const form = await readForm(request);
    form.set('grant_type', grantType);
    return toProvider(replayed(request, '', form), response, `${oidc}/token`);
  };
  const browserSid = async (request: IncomingMessage, response: ServerResponse) => {
    const session = await provider.Session.get(provider.createContext(request, response));
    return session.accountId ? session.uid : undefined;
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<unknown> => {
    const url = new URL(request.url ?? '/', state.issuer);
    if (!url.pathname.startsWith(`${prefix}/`)) return response.writeHead(404).end();
    const path = url.pathname.slice(prefix.length);
    const post = request.method === 'POST';
    switch (path) {
      case '/.well-known/openid-configuration':
      case '/.well-known/oauth-authorization-server':
        return json(response, discoveryDocument(state));
      case `${oidc}/certs`:
        return json(response, state.keys.jwks, { 'Cache-Control': 'public, max-age=60' });
      case `${oidc}/userinfo`:
        return userinfo(state, request, response);
      case `${oidc}/token/introspect`:
        if (post) return toTokenEndpoint(request, response, internalGrants.introspection);
        break;
      case `${oidc}/revoke`:
        if (post) return toTokenEndpoint(request, response, internalGrants.revocation);
        break;
      case `${oidc}/logout`: {
        const form = post ? await readForm(request) : url.searchParams;
        if (!form.has('refresh_token')) {
          return logoutByBrowser(state, request, response, form, () => browserSid(request, response));
        }
        form.set('grant_type', internalGrants.logout);
        return toProvider(replayed(request, '', form), response, `${oidc}/token`);
      }
      case `${oidc}/token`: {
        if (!post) break;
        const form = await readForm(request);
        if (form.get('grant_type')?.startsWith('urn:postern:internal:')) form.set('grant_type', 'unsupported');
        return toProvider(replayed(request, '', form), response, path);
      }
      case `${oidc}/ext/par/request`: {
        if (!post) break;
        const form = await readForm(request);
        toFrontChannel(form);
        return toProvider(replayed(request, '', form), response, path);
      }
      case `${oidc}/auth`: {
        const { searchParams } = url;
        const client = state.client(searchParams.get('client_id') ?? '');
        if (client && fapiKindOf(client, state.profile) && !searchParams.has('request_uri')) {
          return sendPage(response, 400, errorPage(state.realm.displayName, 'PAR request_uri not included.'));
        }
        toFrontChannel(searchParams);
        return toProvider(request, response, `${path}?${searchParams.toString()}`);
      }
      case interactionPath:
        return interact(request, response, post ? await readForm(request) : undefined);
      default:
        if (path.startsWith(`${oidc}/auth/`)) return toProvider(request, response, `${path}${url.search}`);
    }
    return response.writeHead(404).end();
  };

  const server = createTlsServer(certificate);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (between(request, response)) return;
    handle(request, response).catch((error: Error) => {
      process.emitWarning(error);
      if (!response.headersSent) response.writeHead(500, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify({ error: 'server_error' }));
    });
  });
  return server;
}
