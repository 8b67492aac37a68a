import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer as createHttpsServer, Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { newEvent } from '@postern/audit';
import { followRotation, serverTlsOptions, type TlsMaterial } from '@postern/mtls';
import { closeInReverse, type BaseConfig } from '@postern/runtime';
import type { App } from './app.ts';
import { answerClientError } from './client-error.ts';
import type { ListenerName } from './declaration.ts';
import { connectionsTo, drain, type DrainOptions } from './drain.ts';
import { expressRoutes } from './express-routes.ts';
import { draftOf } from './route-audit.ts';
import type { ListenerContext } from './serve-route.ts';

export type ListenOptions = {
  readonly tls: TlsMaterial;
  readonly config: BaseConfig['listen'];
  readonly limits?: Partial<ConnectionLimits>;
  readonly drain?: Partial<DrainOptions>;
};

export type ConnectionLimits = {
  /** The same for the TLS handshake before them. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** The same on a listener with routes that stream: there a whole request may take long, though no other body may. */
  readonly streamTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly headerBytes: number;
  /** R12: above the longest life of a token bound to the connection's certificate. */
  readonly connectionAgeMs: number;
};

export type Listening = {
  /** Origins, by listener; `public` only where a route is public. */
  readonly urls: { readonly api: string; readonly public?: string; readonly management: string };
  /** Drains all listeners: no longer ready, accepting stops, what is in flight is answered. The management listener closes last. */
  close(): Promise<void>;
};

const LIMITS = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  streamTimeoutMs: 60 * 60_000,
  keepAliveMs: 60_000,
  headerBytes: 16 * 1024,
} as const;
const AGE_ABOVE_TOKENS_MS = 5 * 60_000;
const DRAIN: DrainOptions = { graceMs: 500, deadlineMs: 15_000 };

/** Opens the listeners of an application: api (mutual TLS), public (TLS, only its declared routes), management (plain HTTP). */
export async function listen(
  app: App,
  { tls, config, limits, drain: drainOptions }: ListenOptions,
): Promise<Listening> {
  const bounds: ConnectionLimits = {
    ...LIMITS,
    connectionAgeMs: app.profile.accessTokenMinutes * 60_000 + AGE_ABOVE_TOKENS_MS,
    ...limits,
  };
  const closing = closeInReverse();
  const draining = { now: false };
  const serving: { server: Server; end(options: DrainOptions): Promise<void> }[] = [];
  const origins: Record<ListenerName, string[]> = { api: [], public: [], management: [] };

  const start = async (name: ListenerName, host: string, port: number): Promise<string> => {
    const context: ListenerContext = {
      name,
      origins: () => origins[name],
      pauseMs: bounds.requestTimeoutMs,
      isLast: (connection) => draining.now || performance.now() - connection.openedAt > bounds.connectionAgeMs,
    };
    const server = serverOf(app, name, tls, context, bounds);
    const connections = connectionsTo(server);
    const end = (options: DrainOptions) => drain(server, connections, options);
    if (server instanceof HttpsServer) closing.add(followRotation(server, tls));
    const url = await listening(server, host, port, name === 'management' ? 'http' : 'https');
    if (name === 'management') closing.add(() => end({ graceMs: 0, deadlineMs: 1_000 }));
    else serving.push({ server, end });
    origins[name].push(
      ...(app.publicUrl !== undefined && name !== 'management' ? [new URL(app.publicUrl).origin] : []),
      url,
    );
    return url;
  };

  try {
    const management = await start('management', config.managementHost, config.managementPort);
    const isPublic = app.routes.some(({ listeners }) => listeners.includes('public'));
    const atPublic = isPublic ? { public: await start('public', config.host, config.publicPort) } : {};
    const api = await start('api', config.host, config.apiPort);
    return {
      urls: { api, ...atPublic, management },
      async close() {
        draining.now = true;
        app.health.drain();
        await Promise.all(serving.map(({ end }) => end({ ...DRAIN, ...drainOptions })));
        await closing.close();
      },
    };
  } catch (error) {
    for (const { server } of serving) server.close();
    await closing.close();
    throw error;
  }
}

function serverOf(
  app: App,
  name: ListenerName,
  tls: TlsMaterial,
  context: ListenerContext,
  bounds: ConnectionLimits,
): Server {
  const handler = expressRoutes(app, context);
  const streams = app.routes.some(({ consumes, listeners }) => consumes === 'stream' && listeners.includes(name));
  const options = {
    headersTimeout: bounds.headersTimeoutMs,
    requestTimeout: streams ? bounds.streamTimeoutMs : bounds.requestTimeoutMs,
    keepAliveTimeout: bounds.keepAliveMs,
    maxHeaderSize: bounds.headerBytes,
    connectionsCheckingInterval: Math.min(1_000, bounds.headersTimeoutMs),
    // Two different lengths are refused by the parser; nothing is normalised. Of two `Host`, `Authorization` or `Content-Type` the
    // first is not taken for the only one: they are joined, which none of them may be. Hosts are looked at by the routes.
    joinDuplicateHeaders: true,
    requireHostHeader: false,
    insecureHTTPParser: false,
  };
  const handshake = { handshakeTimeout: bounds.headersTimeoutMs };
  const server =
    name === 'management'
      ? createHttpServer(options, handler)
      : createHttpsServer(
          { ...serverTlsOptions(tls, name === 'api' ? 'required' : 'none'), ...handshake, ...options },
          handler,
        );
  server.on('timeout', closeUnlessAsked);
  server.on('clientError', (error, socket) => {
    const cause = answerClientError(error, socket, app.problems);
    if (cause !== null) app.metrics.refusedConnection(name, cause);
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: { remoteAddress?: string }) => {
    app.metrics.refusedConnection(name, 'tls');
    const draft = draftOf({
      tenant: null,
      actor: {},
      source: { address: socket.remoteAddress ?? 'unknown' },
      action: 'request.refused',
      outcome: 'refused',
      reason: error.code === 'ECONNRESET' ? 'tls_ended' : 'tls_refused',
      details: { route: `(tls ${name})`, status: 0 },
    });
    app.audit.refusedEarly(newEvent(draft, app.now()));
  });
  return server;
}

/**
 * A kept connection was idle for long enough. After a pause of the whole process that may be seen before the request that has
 * arrived meanwhile: one turn of the loop reads it, which ends the time limit. To close at once would reset its caller.
 */
function closeUnlessAsked(socket: Socket): void {
  setImmediate(() => {
    if (socket.timeout !== 0) socket.destroy();
  });
}

function listening(server: Server, host: string, port: number, scheme: 'http' | 'https'): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      const { port: chosen, address } = server.address() as AddressInfo;
      const named = address === '0.0.0.0' || address === '::' ? '127.0.0.1' : address;
      resolve(`${scheme}://${named.includes(':') ? `[${named}]` : named}:${chosen}`);
    });
  });
}
