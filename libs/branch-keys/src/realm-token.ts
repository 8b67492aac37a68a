import { type MtlsAgent } from '@postern/mtls';
import { KeysUnavailable } from './errors.ts';

/** More than any token that we could use is long. */
const MAX_ANSWER_BYTES = 64 * 1024;
const TIMEOUT_MS = 5_000;

/**
 * The service's own OIDC token, from its realm: client credentials (RFC 6749 section 4.4) over its certificate (RFC 8705
 * section 2). The realm puts the audience that AWS trusts into it.
 * @throws KeysUnavailable when the realm refuses or does not answer.
 */
export async function realmToken(
  agent: Pick<MtlsAgent, 'request'>,
  { tokenUrl, clientId }: { tokenUrl: string; clientId: string },
): Promise<string> {
  const { origin, pathname, search } = new URL(tokenUrl);
  try {
    const answer = await agent.request({
      origin,
      path: `${pathname}${search}`,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId }).toString(),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const { access_token: token } = JSON.parse(await readText(answer.body)) as { access_token?: unknown };
    if (answer.statusCode === 200 && typeof token === 'string') return token;
    throw new Error(`the realm answered ${answer.statusCode}`);
  } catch (error) {
    throw new KeysUnavailable(error);
  }
}

async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    // Leaving the loop breaks the connection off: the rest is not waited for.
    if (bytes > MAX_ANSWER_BYTES) throw new Error("the realm's answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
