import { once } from 'node:events';
import { createServer } from 'node:https';
import { type AddressInfo } from 'node:net';

/** A place that takes what is pushed to Loki and answers as it does, for where Loki itself is not built. */
export type LineReceiver = { url: string; close(): Promise<void> };

export async function openLineReceiver({ cert, key }: { cert: string; key: string }): Promise<LineReceiver> {
  const server = createServer({ cert, key }, (request, response) => {
    request.resume().on('end', () => response.writeHead(204).end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close').catch(() => {});
    },
  };
}
