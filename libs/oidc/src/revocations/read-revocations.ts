import { request, type Dispatcher } from 'undici';
import { readJson } from '../read-json.ts';
import { revocationPage, type RevocationPage } from './revocation.ts';

/** A page holds at most 1,000 entries of about 1 KiB. */
const MAX_PAGE_BYTES = 2_097_152;
const TIMEOUT_MS = 5_000;

/** Reads an issuer's sequence at `uri` (its `/v1/revocations`) over mutual TLS. No redirects, at most 2 MiB, 5 s. */
export function readRevocationsOver(dispatcher: Dispatcher): (uri: string, after: number) => Promise<RevocationPage> {
  return async (uri, after) => {
    const url = new URL(uri);
    url.searchParams.set('after', String(after));
    const answer = await request(url, { dispatcher, signal: AbortSignal.timeout(TIMEOUT_MS) });
    return revocationPage.parse(await readJson(answer, MAX_PAGE_BYTES));
  };
}
