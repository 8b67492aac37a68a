// Takes traces as OTLP over HTTP (protobuf, gzip or not), reads every message down to its spans and counts them; `/spans` says how many.
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

let spans = 0;

const server = createServer((request, response) => {
  // Asked for seconds apart: a connection that is kept would be closed just when it is used again.
  if (request.url === '/spans') return void response.writeHead(200, { connection: 'close' }).end(String(spans));
  if (request.url !== '/v1/traces') return void response.writeHead(404).end();
  void read(request).then(
    (body) => {
      spans += spansIn(body);
      // An empty ExportTraceServiceResponse is an empty message.
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    },
    () => response.writeHead(400).end(),
  );
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});

async function read(request: IncomingMessage): Promise<Buffer> {
  const body = Buffer.concat((await request.toArray()) as Buffer[]);
  return request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
}

/** ExportTraceServiceRequest.resource_spans (1), ResourceSpans.scope_spans (2), ScopeSpans.spans (2). */
function spansIn(request: Buffer): number {
  const scopes = messages(request, 1).flatMap((resource) => messages(resource, 2));
  return scopes.reduce((sum, scope) => sum + messages(scope, 2).length, 0);
}

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** The embedded messages of one field. @throws where it is no protobuf */
function messages(message: Buffer, field: number): Buffer[] {
  const found: Buffer[] = [];
  let at = 0;
  const varint = () => {
    for (let value = 0, shift = 0; shift < 64; shift += 7) {
      const byte = message.readUInt8(at++);
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError('a varint has no end');
  };
  while (at < message.length) {
    const tag = varint();
    const wire = tag % 8;
    if (wire === VARINT) varint();
    else if (wire === FIXED64) at += 8;
    else if (wire === FIXED32) at += 4;
    else if (wire === LENGTH) {
      const length = varint();
      if (at + length > message.length) throw new RangeError('a field ends behind its message');
      if (Math.floor(tag / 8) === field) found.push(message.subarray(at, at + length));
      at += length;
    } else throw new RangeError(`there is no wire type ${wire}`);
  }
  return found;
}
