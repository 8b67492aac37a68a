import type { JSONWebKeySet } from 'jose';
import { request, type Dispatcher } from 'undici';
import { z } from 'zod';
import { readJson } from './read-json.ts';

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
    const answer = await request(uri, {
      dispatcher,
      headers: { accept: 'application/jwk-set+json, application/json' },
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return keySet.parse(await readJson(answer, MAX_JWKS_BYTES)) as JSONWebKeySet;
  };
}
