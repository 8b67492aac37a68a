import { importPKCS8, SignJWT } from 'jose';
import { type Egress } from '@postern/egress';
import { type Now, problem, type Secret } from '@postern/runtime';
import { failed, problemOfFailure, problemOfStatus } from '../provider-answers.ts';

export type ServiceAccount = { clientEmail: string; privateKeyId: string; privateKey: Secret };

const TOKEN_ENDPOINT = 'https://oauth2.googleapis.com/token';
const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const ASSERTION_SECONDS = 300;
const RENEW_AHEAD_MS = 60_000;

/**
 * Access tokens of a service account (RFC 7523, "Using OAuth 2.0 for Server to Server Applications"), one at a time, renewed
 * a minute ahead. The endpoint is Google's own whatever the document of the account says (R36).
 */
export function accessTokens({
  account,
  egress,
  timeoutMs,
  now,
  endpoint = TOKEN_ENDPOINT,
}: {
  account: ServiceAccount;
  egress: Pick<Egress, 'request'>;
  timeoutMs: number;
  now: Now;
  endpoint?: string;
}): () => Promise<string> {
  let held: { token: string; renewAt: number } | null = null;
  let asking: Promise<string> | null = null;

  async function ask(): Promise<string> {
    const iat = Math.floor(now().getTime() / 1000);
    const key = await importPKCS8(account.privateKey.reveal(), 'RS256').catch((cause: unknown) => {
      throw problem('provider_credentials_refused', { cause });
    });
    const assertion = await new SignJWT({ scope: SCOPE })
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: account.privateKeyId })
      .setIssuer(account.clientEmail)
      .setAudience(TOKEN_ENDPOINT)
      .setIssuedAt(iat)
      .setExpirationTime(iat + ASSERTION_SECONDS)
      .sign(key);
    const answer = await egress
      .request(endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ grant_type: JWT_BEARER, assertion }).toString(),
        timeoutMs,
      })
      .catch((error: unknown) => {
        throw problemOfFailure(error) ?? failed(error);
      });
    if (answer.status !== 200) {
      // RFC 6749 section 5.2: `invalid_grant` is how a key that was deleted, or an account that was disabled, is told.
      throw answer.status === 400
        ? problem('provider_credentials_refused')
        : (problemOfStatus(answer.status, null) ?? failed(null));
    }
    const said = parsed(answer.body);
    if (typeof said.access_token !== 'string' || typeof said.expires_in !== 'number') throw failed(null);
    held = { token: said.access_token, renewAt: now().getTime() + said.expires_in * 1000 - RENEW_AHEAD_MS };
    return held.token;
  }

  return async () => {
    if (held && held.renewAt > now().getTime()) return held.token;
    asking ??= ask().finally(() => (asking = null));
    return asking;
  };
}

function parsed(body: Uint8Array): { access_token?: unknown; expires_in?: unknown } {
  try {
    return (JSON.parse(Buffer.from(body).toString()) ?? {}) as object;
  } catch (error) {
    throw failed(error);
  }
}
