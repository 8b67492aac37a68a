import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { EgressRefused, openEgress, type Egress } from '@postern/egress';
import type { TlsMaterial } from '@postern/mtls';
import { ConfigurationError, Secret } from '@postern/runtime';
import type { CollectorConfig } from '../forwarders-config.ts';
import { LinesRefused, TargetAway } from './target.ts';

const TIMEOUT_MS = 15_000;
const ANSWER_MAX_BYTES = 64 * 1024;
const RETRY_AFTER_MAX_MS = 3_600_000;

/** The guarded way (R35) to one host of the operator's choice. */
export const egressTo = (
  { url, caPath }: { url: string; caPath?: string | undefined },
  tls: Pick<TlsMaterial, 'current'>,
): Egress =>
  openEgress({
    allow: [new URL(url).host],
    publicAddresses: false,
    listedAuthorities: authorities(caPath, tls),
    maxBytes: ANSWER_MAX_BYTES,
    timeoutMs: TIMEOUT_MS,
  });

/** @throws ConfigurationError for a file that cannot be read. */
export function authorities(caPath: string | undefined, tls: Pick<TlsMaterial, 'current'>): () => string {
  if (caPath === undefined) return () => tls.current().ca;
  try {
    const pem = readFileSync(caPath, 'utf8');
    return () => pem;
  } catch {
    throw new ConfigurationError(['POSTERN_FORWARDERS_PATH: caPath cannot be read']);
  }
}

/** The `Authorization` header; its file is read each time, so that it may be replaced. */
export async function authorizationOf(
  authorization: CollectorConfig['authorization'],
): Promise<Record<string, string>> {
  if (authorization === undefined) return {};
  try {
    if (authorization.kind === 'bearer') {
      const token = new Secret((await readFile(authorization.tokenPath, 'utf8')).trim());
      return { authorization: `Bearer ${token.reveal()}` };
    }
    const password = new Secret((await readFile(authorization.passwordPath, 'utf8')).trim());
    const pair = Buffer.from(`${authorization.username}:${password.reveal()}`).toString('base64');
    return { authorization: `Basic ${pair}` };
  } catch {
    throw new TargetAway('credential_unreadable', { lasting: true });
  }
}

/**
 * Posts JSON and returns the answer's body.
 * @throws LinesRefused (400, 413, 422: this content), TargetAway (everything else; lasting where no waiting helps).
 */
export async function postJson(
  egress: Egress,
  url: string,
  { headers, body, stop }: { headers: Record<string, string>; body: string; stop: AbortSignal },
): Promise<Buffer> {
  const answer = await egress
    .request(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body, signal: stop })
    .catch((error: unknown) => {
      if (error instanceof EgressRefused) throw new TargetAway(error.reason, { lasting: error.reason === 'redirect' });
      throw error;
    });
  const { status } = answer;
  if (status >= 200 && status < 300) return Buffer.from(answer.body);
  const reason = `status_${status}`;
  if ([400, 413, 422].includes(status)) throw new LinesRefused(reason);
  const waiting = status === 408 || status === 429 || status >= 500;
  throw new TargetAway(reason, { lasting: !waiting, retryAfterMs: retryAfterMs(answer.headers.get('retry-after')) });
}

/** `Retry-After` in milliseconds (RFC 9110 section 10.2.3), within an hour; 0 where there is none. */
export function retryAfterMs(value: string | null, now = Date.now()): number {
  if (value === null) return 0;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS);
}
