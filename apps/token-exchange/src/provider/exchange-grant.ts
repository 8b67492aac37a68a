import { boundedJson, type Principal } from '@postern/oidc';
import { problem, Secret } from '@postern/runtime';
import { request, type Dispatcher } from 'undici';
import { z } from 'zod';
import type { Asked } from '../exchanges/plan-exchange.ts';
import { ExchangeRefused, type Reason } from '../exchanges/refusal.ts';

/** What was asked of the provider, and under which id. */
export type AskedOfProvider = Asked & {
  /** Of this exchange: it stands in both services' records. */
  id: string;
  /** DPoP proofs of the caller's key for the provider's token endpoint, to be used in this order. */
  proofs: readonly string[];
};

/** auth-manager's internal route: it holds the grant's tokens, and only their client may exchange them (R10). */
export type ExchangeGrant = (grant: Principal, asked: AskedOfProvider) => Promise<Secret>;

const granted = z.looseObject({ access_token: z.string().min(1).max(16_384) });
const refused = z.looseObject({ code: z.string().max(64) });
const TIMEOUT_MS = 15_000;
const MAX_ANSWER_BYTES = 65_536;

/** @param url origin of auth-manager's api listener; @param dispatcher mutual TLS with this service's certificate */
export const exchangeGrantAt =
  ({ url, dispatcher }: { url: string; dispatcher: Dispatcher }): ExchangeGrant =>
  async ({ token }, { id, audiences, scopes, proofs: [refresh, exchange] }) => {
    const body = {
      grant_token: token.reveal(),
      exchange_id: id,
      audience: audiences,
      scope: scopes,
      ...(refresh !== undefined && { dpop: refresh }),
      ...(exchange !== undefined && { exchange_dpop: exchange }),
    };
    const { status, said } = await answered(`${url}/v1/grants/provider-exchange`, dispatcher, body).catch(
      (cause: unknown) => {
        throw problem('provider_unavailable', { retryAfterSeconds: 5, cause });
      },
    );
    if (status === 200) {
      const read = granted.safeParse(said);
      if (read.success) return new Secret(read.data.access_token);
    }
    const code = refused.safeParse(said).data?.code;
    const reason = code === undefined ? undefined : reasons[code];
    if (reason) throw new ExchangeRefused(reason, scopes);
    throw problem('provider_unavailable', { retryAfterSeconds: 5 });
  };

/** Rejects where no whole answer came in time. */
async function answered(url: string, dispatcher: Dispatcher, sent: object): Promise<{ status: number; said: unknown }> {
  const { statusCode, body } = await request(url, {
    method: 'POST',
    dispatcher,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(sent),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  return { status: statusCode, said: await boundedJson(body, MAX_ANSWER_BYTES) };
}

/** auth-manager's codes, as this endpoint says them. */
const reasons: Readonly<Record<string, Reason>> = {
  exceeds_grant: 'above_ceiling',
  proof_required: 'proof_needed',
  proof_refused: 'proof_needed',
  invalid_input: 'proof_needed',
  provider_refused: 'provider_denied',
  grant_token_refused: 'revoked',
  grant_not_found: 'revoked',
  grant_ended: 'revoked',
  reauthorization_required: 'reauthorization',
};
