import { createServer, type Server } from 'node:https';
import { type AddressInfo } from 'node:net';
import { type TLSSocket } from 'node:tls';
import { createHash } from 'node:crypto';
import { type Leaf } from '@postern/testing';

export type Seen = {
  method: string;
  path: string;
  authorization: string;
  thumbprint: string;
  body: string;
  traceparent: string | undefined;
  connection: number;
};
export type Reply = { status: number; headers?: Record<string, string>; body?: unknown } | 'stall' | 'hang up';

export type Peer = { url: string; seen: Seen[]; answer: (request: Seen) => Reply; close(): Promise<void> };

/** An HTTPS server that wants a client certificate and answers as the test says: the other end of a connection. */
export async function startPeer(leaf: Leaf): Promise<Peer> {
  const seen: Seen[] = [];
  let connections = 0;
  const numbers = new WeakMap<object, number>();
  const server: Server = createServer(
    { cert: leaf.cert, key: leaf.key, ca: leaf.ca, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
    (request, response) => {
      const socket = request.socket as TLSSocket;
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const asked: Seen = {
          method: request.method ?? '',
          path: request.url ?? '',
          authorization: request.headers.authorization ?? '',
          thumbprint: createHash('sha256').update(socket.getPeerCertificate().raw).digest('base64url'),
          body: Buffer.concat(chunks).toString('utf8'),
          traceparent: request.headers['traceparent'] as string | undefined,
          connection: numbers.get(socket) ?? 0,
        };
        seen.push(asked);
        const reply = peer.answer(asked);
        if (reply === 'stall') return;
        if (reply === 'hang up') return void socket.destroy();
        response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers });
        response.end(reply.body === undefined ? '' : JSON.stringify(reply.body));
      });
    },
  );
  server.on('secureConnection', (socket) => numbers.set(socket, (connections += 1)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const peer: Peer = {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    answer: () => ({ status: 500 }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return peer;
}

/** A token as the client sees it: unverified claims. */
export function tokenBoundTo(thumbprint: string, lifetimeSeconds: number, name: string, now: Date): string {
  const claims = {
    jti: name,
    exp: Math.floor(now.getTime() / 1000) + lifetimeSeconds,
    cnf: { 'x5t#S256': thumbprint },
  };
  return ['e30', Buffer.from(JSON.stringify(claims)).toString('base64url'), 'c2ln'].join('.');
}
