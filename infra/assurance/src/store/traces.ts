import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

/** A place where traces go (OTLP over HTTP), that keeps their bytes. */
export type TraceCollector = {
  endpoint: string;
  /** What came, request by request (ExportTraceServiceRequest as protobuf). */
  bodies(): readonly Buffer[];
  /** Everything that came, as latin1. */
  text(): string;
  requests(): number;
  close(): Promise<void>;
};

export async function openTraceCollector(): Promise<TraceCollector> {
  const bodies: Buffer[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      bodies.push(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body);
      response.writeHead(200).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bodies: () => bodies,
    text: () => Buffer.concat(bodies).toString('latin1'),
    requests: () => bodies.length,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close').catch(() => {});
    },
  };
}
