import { Server as NetServer, type Socket } from 'node:net';
import type { Server } from 'node:http';

export type DrainOptions = {
  /** How long idle connections are kept, so that a request already on its way is answered and not reset. */
  readonly graceMs: number;
  /** After this, what is still open is cut. */
  readonly deadlineMs: number;
};

const LOOK_AGAIN_MS = 20;

/** The open connections of a server, from the moment they are accepted: `http.Server` knows none before its TLS handshake is done. */
export function connectionsTo(server: Server): ReadonlySet<Socket> {
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  return connections;
}

/**
 * Stops accepting, lets what is in flight finish and closes the rest. While it runs, every answer must say `connection: close`:
 * then a caller loses no request, because it knows before it sends the next one.
 */
export async function drain(
  server: Server,
  connections: ReadonlySet<Socket>,
  { graceMs, deadlineMs }: DrainOptions,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.once('close', () => resolve()));
  // `http.Server.close` cuts idle connections at once, and with them requests that are on the wire: only the listening socket is closed here.
  NetServer.prototype.close.call(server);
  const started = performance.now();
  let open = true;
  void closed.then(() => (open = false));
  while (open && performance.now() - started < deadlineMs) {
    if (performance.now() - started >= graceMs) server.closeIdleConnections();
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))]);
  }
  if (open) for (const connection of connections) connection.destroy();
  await closed;
  server.close(() => undefined); // ends the timer that checks connections
}
