import { randomUUID } from 'node:crypto';
import type { JWTPayload, JWTVerifyResult } from 'jose';
import type { LocalRules } from './local-rules.ts';

export type LocalApproval = {
  id: string;
  sub: string;
  /** The first that was named. */
  audience: string | undefined;
  audiences: readonly string[];
  scopes: string[];
  state: 'pending' | 'approved' | 'denied';
};

/** One exchange, whatever became of it. */
export type LocalExchange = {
  /** The OAuth client that asked. */
  client: string;
  sub: string;
  /** The first that was named. */
  audience: string | undefined;
  audiences: readonly string[];
  scopes: string[];
};

/** An exchange that was refused, and the rule that decided. */
export type LocalRefusal = LocalExchange & { rule: string };

export type Answer = { status: number; body: object };

export const refusal = (status: number, error: string, description: string, more = {}): Answer => ({
  status,
  body: { error, error_description: description, ...more },
});

/** The header type of a grant's token. */
export const GRANT = 'grant+jwt';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

type Deps = {
  rules: LocalRules;
  verify: (token: string) => Promise<JWTVerifyResult | null>;
  sign: (claims: JWTPayload, seconds: number) => Promise<string>;
  intervalSeconds: number;
  approvals: Map<string, LocalApproval>;
  exchanges: LocalExchange[];
  refusals: LocalRefusal[];
};

/** RFC 8693 for a client that was authenticated: what the rules decide, and approvals that are good once. */
export function createLocalExchange({ rules, verify, sign, intervalSeconds, approvals, exchanges, refusals }: Deps) {
  return async (client: string, form: URLSearchParams): Promise<Answer> => {
    if (form.get('grant_type') !== TOKEN_EXCHANGE)
      return refusal(400, 'unsupported_grant_type', 'Only token exchange is offered here');
    const verified = await verify(form.get('subject_token') ?? '');
    if (!verified) return refusal(400, 'invalid_request', 'The subject token is not accepted');
    const { payload: subject, protectedHeader } = verified;
    const scopes = [...new Set((form.get('scope') ?? '').split(' ').filter(Boolean))].toSorted();
    const audiences = [...new Set(form.getAll('audience'))];
    const asked: LocalExchange = { client, sub: String(subject.sub), audience: audiences[0], audiences, scopes };
    const key = JSON.stringify([client, asked.sub, audiences.toSorted(), scopes]);
    const approval = approvals.get(key);
    const request = { client, subject, isGrant: protectedHeader.typ === GRANT, audiences, scopes };
    const verdict = rules.decide({ ...request, approved: approval?.state === 'approved' });
    if (verdict.outcome === 'refused') {
      refusals.push({ ...asked, rule: verdict.rule });
      return refusal(verdict.status, verdict.error, verdict.description, verdict.more);
    }
    // Either verdict is good once.
    if (approval && approval.state !== 'pending') approvals.delete(key);
    if (verdict.outcome === 'pending') return pending(key, asked);
    exchanges.push(asked);
    const { claims, lifetimeSeconds } = verdict;
    const body = {
      access_token: await sign(claims, lifetimeSeconds),
      issued_token_type: ACCESS_TOKEN,
      token_type: 'Bearer',
      expires_in: lifetimeSeconds,
      scope: claims['scope'],
    };
    return { status: 200, body };

    function pending(name: string, what: LocalExchange): Answer {
      if (approval?.state === 'denied') {
        refusals.push({ ...what, rule: 'approval_denied' });
        return refusal(403, 'access_denied', 'The request was denied');
      }
      const waiting = approval ?? { id: randomUUID(), ...what, state: 'pending' as const };
      approvals.set(name, waiting);
      const more = { approval_id: waiting.id, interval: intervalSeconds, expires_in: 86_400 };
      return refusal(400, 'authorization_pending', 'A person has to approve this', more);
    }
  };
}
