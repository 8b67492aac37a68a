import { once } from 'node:events';
import { type IncomingHttpHeaders } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo } from 'node:net';
import { developmentCa } from '@postern/testing';

/** One request as it came over the socket; `url` is as it stood there. */
export type Seen = { method: string; url: string; headers: IncomingHttpHeaders; body: string };
export type Given = { status?: number; headers?: Record<string, string>; body: string };

/** A host that secrets are used at: what it was sent, and what it answers from now on. */
export type Upstream = {
  host: string;
  seen: Seen[];
  answerWith(answer: (request: Seen) => Given): void;
  /** What key-proxy needs to reach it, and it alone. */
  env: Record<string, string>;
  close(): Promise<void>;
};

export async function startUpstream(): Promise<Upstream> {
  const seen: Seen[] = [];
  let answer: (request: Seen) => Given = () => ({ body: '{}' });
  const leaf = await developmentCa().issue('crypto-store', { addresses: ['127.0.0.1'] });
  const server = createServer({ cert: leaf.cert, key: leaf.key }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const one = { method, url, headers, body: Buffer.concat(chunks).toString() };
      seen.push(one);
      const { status = 200, headers: given = {}, body } = answer(one);
      response.writeHead(status, given).end(body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    seen,
    answerWith: (next) => void (answer = next),
    env: { POSTERN_USE_HOSTS: host, POSTERN_USE_CA_PATH: leaf.paths.ca, POSTERN_USE_PUBLIC_ADDRESSES: 'false' },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
