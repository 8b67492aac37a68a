import type { JSONWebKeySet } from 'jose';
import { request, type Dispatcher } from 'undici';
import { z } from 'zod';

/** Reads the key set at `uri`; rejects on anything but a whole, well-formed set. */
export type FetchJwks = (uri: string) => Promise<JSONWebKeySet>;

const MAX_JWKS_BYTES = 262_144;
const TIMEOUT_MS = 5_000;

const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(64) });

/**
 * A {@link FetchJwks} over the given undici dispatcher (trust anchors and client certificate are the dispatcher's).
 * No redirects, at most 256 KiB, 5 s.
 */
export function fetchJwksOver(dispatcher: Dispatcher): FetchJwks {
  return async (uri) => {
    const { statusCode, body } = await request(uri, {
      dispatcher,
      headers: { accept: 'application/jwk-set+json, application/json' },
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_JWKS_BYTES) throw new Error('the key set is too large');
      chunks.push(chunk);
    }
    if (statusCode !== 200) throw new Error(`the key set answered ${statusCode}`);
    return keySet.parse(JSON.parse(Buffer.concat(chunks).toString('utf8'))) as JSONWebKeySet;
  };
}
