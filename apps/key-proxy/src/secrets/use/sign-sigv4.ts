import { createHash, createHmac } from 'node:crypto';
// The signer of the AWS SDKs themselves: what a service of AWS checks is what this makes.
import { SignatureV4 } from '@smithy/signature-v4';
import { type Now, problem, type Secret } from '@postern/runtime';
import { z } from 'zod';
import { type PreparedRequest } from './prepare-request.ts';
import { type UseDefinition } from './use-definition.ts';

/** What a secret holds that signs: an access key, as JSON. */
const accessKey = z.strictObject({
  access_key_id: z.string().regex(/^[A-Z0-9]{16,128}$/),
  secret_access_key: z.string().min(16).max(128),
  session_token: z.string().min(1).max(4096).optional(),
});
export type AccessKey = z.output<typeof accessKey>;

/** @throws Problem `use_impossible` where the secret is no access key */
export function accessKeyOf(value: Secret): AccessKey {
  try {
    return accessKey.parse(JSON.parse(value.reveal()));
  } catch {
    throw problem('use_impossible');
  }
}

type Place = Extract<UseDefinition['placement'], { kind: 'sigv4' }>;

/**
 * The request with an AWS Signature Version 4 for the one service and region of the definition (R37). The host, the query, the
 * body and every header that goes out are signed.
 */
export async function signSigv4(
  { url: href, method, headers, body }: PreparedRequest,
  { service, region }: Place,
  key: AccessKey,
  now: Now,
): Promise<PreparedRequest> {
  const url = new URL(href);
  const signer = new SignatureV4({
    service,
    region,
    sha256: Sha256,
    credentials: {
      accessKeyId: key.access_key_id,
      secretAccessKey: key.secret_access_key,
      ...(key.session_token !== undefined && { sessionToken: key.session_token }),
    },
  });
  const { host: _, ...signed } = (
    await signer.sign(
      {
        method,
        protocol: url.protocol,
        hostname: url.hostname,
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        headers: { ...headers, host: url.host },
        body,
      },
      { signingDate: now() },
    )
  ).headers;
  // A signature is over RFC 3986's coding of the query: a space is %20, never a plus.
  url.search = [...url.searchParams].map((pair) => pair.map(encoded).join('=')).join('&');
  return { url: url.href, method, headers: signed, ...(body !== undefined && { body }) };
}

const encoded = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

type Data = string | ArrayBuffer | ArrayBufferView;
const bytesOf = (data: Data) =>
  typeof data === 'string' || ArrayBuffer.isView(data) ? (data as string | Uint8Array) : new Uint8Array(data);

/** Node's SHA-256 and its HMAC, in the shape that the signer asks for. */
class Sha256 {
  readonly #hash;
  constructor(key?: Data) {
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(key));
  }
  update(data: Data): void {
    this.#hash.update(bytesOf(data));
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
}
