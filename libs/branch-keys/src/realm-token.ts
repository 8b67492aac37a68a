import { type MtlsAgent } from '@postern/mtls';
import { KeysUnavailable } from './errors.ts';

/** The start of a token answer is enough to hold any token we could use. */
const MAX_ANSWER_BYTES = 64 * 1024;
const TIMEOUT_MS = 5_000;

/**
 * The service's own OIDC token, from its realm: client credentials (RFC 6749 section 4.4) over its certificate (RFC 8705
 * section 2). The realm puts the audience that AWS trusts into it.
 * @throws KeysUnavailable when the realm refuses or does not answer.
 */
export async function realmToken(agent: MtlsAgent, { tokenUrl, clientId }: { tokenUrl: string; clientId: string }) {
  const { origin, pathname, search } = new URL(tokenUrl);
  try {
    const answer = await agent.request({
      origin,
      path: `${pathname}${search}`,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId }).toString(),
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
    const text = await answer.body.text();
    const token =
      text.length <= MAX_ANSWER_BYTES ? (JSON.parse(text) as { access_token?: unknown }).access_token : null;
    if (answer.statusCode === 200 && typeof token === 'string') return token;
    throw new Error(`the realm answered ${answer.statusCode}`);
  } catch (error) {
    throw new KeysUnavailable(error);
  }
}
