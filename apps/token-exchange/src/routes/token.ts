import { route } from '@postern/http';
import type { PolicyDocument } from '@postern/policy';
import { problem } from '@postern/runtime';
import type { Caller } from '../exchanges/plan-exchange.ts';
import { ExchangeRefused } from '../exchanges/refusal.ts';
import { answerExchange, preferHeader, preferred, type AnswerExchange } from './answer-exchange.ts';
import { exchangeAnswers } from './exchange-answers.ts';
import { exchangeForm, TOKEN_EXCHANGE } from './exchange-form.ts';

/**
 * RFC 8693 on the api listener: the caller is the workload of the client certificate (`tls_client_auth`), and the minted
 * token is bound to that certificate.
 */
export const token = (deps: AnswerExchange & { workloads: readonly string[] }) =>
  route({
    method: 'POST',
    path: '/token',
    listener: 'api',
    summary: 'Exchange a token for a narrower one (RFC 8693)',
    description:
      'The policy decides by workload, subject, its client and target; the answer never has more than the subject token or the caller may have. A scope that needs a person is `authorization_pending`: ask again with a fresh subject token after `interval` seconds. `insufficient_user_authentication` says how the person must log in (RFC 9470).',
    access: 'workload',
    workloads: deps.workloads,
    audit: 'token.exchanged',
    consumes: 'form',
    errors: 'oauth',
    bodyLimit: 65_536,
    headers: preferHeader,
    body: exchangeForm,
    answers: exchangeAnswers,
    problems: ['unsupported_grant_type', 'keys_unavailable', 'revocation_unavailable', 'provider_unavailable'],
    handle({ workload, headers, body, request }, audit) {
      if (body.grant_type !== TOKEN_EXCHANGE) throw problem('unsupported_grant_type');
      const thumbprint = request.certificateThumbprint ?? '';
      const caller: Caller = { workload, binding: { kind: 'certificate', thumbprint } };
      const authenticate = () => {
        const { document } = deps.policies.held();
        assertKnown(document, body.client_id, workload);
        return { caller, presented: { workload, certificateThumbprint: thumbprint } };
      };
      return answerExchange(deps, body, caller, authenticate, audit, preferred(headers));
    },
  });

/**
 * RFC 8705 section 2: with `tls_client_auth` a `client_id` may stand in the form; it must be the certificate's. A workload
 * that the policy does not name gets nothing, whatever it brings.
 */
function assertKnown({ workloads }: PolicyDocument, named: string | undefined, workload: string): void {
  if (workloads.every(({ name }) => name !== workload)) throw new ExchangeRefused('workload_unknown');
  if (named === undefined || named === workload) return;
  if (named !== workloads.find(({ name }) => name === workload)?.client) throw new ExchangeRefused('another_client');
}
