/** A request that succeeds, and where what it carries goes. */
export type RouteUse = {
  /** As in the API document: `PUT /v1/records/{key}`. */
  route: string;
  path: string;
  body?: unknown;
  type?: string;
  headers?: Record<string, string>;
  /** 200 unless said. */
  status?: number;
};

const base64 = (text: string) => Buffer.from(text).toString('base64');
const TEXT = 'text/plain';
const BYTES = 'application/octet-stream';

/**
 * A use of every route of crypto-store that carries canaries wherever a caller may put a secret: keys, payloads, metadata,
 * plaintexts, inputs of MACs, in an order in which each succeeds. `later` are those that need an earlier answer.
 */
export function usesOfEveryRoute({ inKey, inPayload }: { inKey: string; inPayload: string }): RouteUse[] {
  const key = `${inKey}/a`;
  const record = `/v1/records/${encodeURIComponent(key)}`;
  const metadata = { 'postern-metadata': JSON.stringify({ m: inPayload }) };
  return [
    { route: 'POST /store', path: '/store', body: { key: `${inKey}-seed`, payload: inPayload } },
    { route: 'GET /retrieve/{key}', path: `/retrieve/${inKey}-seed` },
    { route: 'PUT /v1/records/{key}', path: record, body: inPayload, type: TEXT, headers: metadata, status: 201 },
    { route: 'PUT /v1/records/{key}', path: record, body: inPayload, type: BYTES },
    { route: 'GET /v1/records/{key}', path: record },
    { route: 'GET /v1/records/{key}', path: `${record}?version=1` },
    { route: 'HEAD /v1/records/{key}', path: record },
    { route: 'GET /v1/records/{key}/versions', path: `${record}/versions` },
    { route: 'GET /v1/records', path: `/v1/records?prefix=${inKey}` },
    { route: 'DELETE /v1/records/{key}', path: record, status: 204 },
    { route: 'POST /v1/records/{key}/undelete', path: `${record}/undelete`, body: {} },
    { route: 'POST /v1/records/{key}/destroy', path: `${record}/destroy`, body: { versions: [1] } },
    {
      route: 'POST /v1/record-batches',
      path: '/v1/record-batches',
      body: {
        operations: [
          { op: 'put', key: `${inKey}-batch`, payload: { text: inPayload }, metadata: { m: inPayload } },
          { op: 'get', key: `${inKey}-batch` },
          { op: 'get', key: `${inKey}-none` },
          { op: 'delete', key: `${inKey}-none` },
        ],
      },
    },
    { route: 'GET /v1/record-hashes', path: '/v1/record-hashes' },
    { route: 'POST /v1/encrypt', path: '/v1/encrypt', body: { plaintext: base64(inPayload) } },
    {
      route: 'POST /v1/encrypt/batch',
      path: '/v1/encrypt/batch',
      body: { items: [{ plaintext: base64(inPayload), reference: inKey }] },
    },
    { route: 'POST /v1/encrypt/stream', path: '/v1/encrypt/stream', body: inPayload, type: BYTES },
    { route: 'POST /v1/data-keys', path: '/v1/data-keys', body: {} },
    { route: 'POST /v1/mac', path: '/v1/mac', body: { name: 'test', input: base64(inPayload) } },
    {
      route: 'POST /v1/mac/verify',
      path: '/v1/mac/verify',
      body: { name: 'test', input: base64(inPayload), mac: base64('x'.repeat(32)) },
    },
    {
      route: 'POST /v1/blind-index',
      path: '/v1/blind-index',
      body: { name: 'test', values: [base64(inPayload)] },
    },
  ];
}

/** Uses that take what an earlier one answered: the message that was encrypted, the data key that was made. */
export function usesOfAnswers({ ciphertext, wrapped }: { ciphertext: string; wrapped: string }): RouteUse[] {
  const bytes = Buffer.from(ciphertext, 'base64');
  const item = { ciphertext };
  return [
    { route: 'POST /v1/decrypt', path: '/v1/decrypt', body: item },
    { route: 'POST /v1/decrypt/batch', path: '/v1/decrypt/batch', body: { items: [item] } },
    { route: 'POST /v1/decrypt/stream', path: '/v1/decrypt/stream', body: bytes, type: BYTES },
    { route: 'POST /v1/rewrap', path: '/v1/rewrap', body: item },
    { route: 'POST /v1/rewrap/batch', path: '/v1/rewrap/batch', body: { items: [item] } },
    { route: 'POST /v1/rewrap/stream', path: '/v1/rewrap/stream', body: bytes, type: BYTES },
    { route: 'POST /v1/data-keys/decrypt', path: '/v1/data-keys/decrypt', body: { wrapped } },
  ];
}
