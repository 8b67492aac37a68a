import { connect, createServer, type Socket } from 'node:net';
import { freePort } from './free-port.ts';

/** A way to a server that a test can cut or stall. TLS goes through as it is. */
export type TcpProxy = {
  port: number;
  /** Ends all connections and refuses new ones. */
  cut(): Promise<void>;
  /** Accepts connections again, if it does not. */
  mend(): Promise<void>;
  /** No bytes pass until `flow`, which ends the stalled connections. */
  stall(): void;
  flow(): void;
  close(): Promise<void>;
};

/** Listens on loopback and forwards to `target`'s port there. */
export async function tcpProxy(target: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let stalled = false;
  const server = createServer((inward) => {
    const outward = connect(target, '127.0.0.1');
    for (const [socket, other] of [
      [inward, outward],
      [outward, inward],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
      if (stalled) socket.pause();
    }
  });
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const cut = () =>
    new Promise<void>((resolve) => {
      if (server.listening) server.close(() => resolve());
      else resolve();
      for (const socket of sockets) socket.destroy();
    });
  // Held, so that nobody else listens there while it is cut.
  const port = await freePort();
  await listen(port);
  return {
    port,
    cut,
    mend: async () => {
      if (!server.listening) await listen(port);
    },
    stall() {
      stalled = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    flow() {
      stalled = false;
      // What was stalled is gone; the clients connect again.
      for (const socket of sockets) socket.destroy();
    },
    close: cut,
  };
}
