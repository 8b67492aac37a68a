import { route } from '@postern/http';
import { checkClientAssertion, checkDpopProof, TokenRefused, type Binding, type UseOnce } from '@postern/oidc';
import type { PolicyDocument } from '@postern/policy';
import type { Profile } from '@postern/profile';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import { ExchangeRefused } from '../exchanges/refusal.ts';
import { answerExchange, exchangeAnswers, type AnswerExchange, type Authenticated } from './answer-exchange.ts';
import { exchangeForm, TOKEN_EXCHANGE } from './exchange-form.ts';

export type PublicTokenDeps = AnswerExchange & { profile: Profile; useOnce: UseOnce };

const assertedForm = exchangeForm.extend({
  client_assertion_type: z.literal('urn:ietf:params:oauth:client-assertion-type:jwt-bearer'),
  client_assertion: z.string().min(1).max(8_192),
});

/**
 * RFC 8693 on the public listener, for workloads without a certificate: `private_key_jwt` under the keys that the policy
 * has for them, and a token bound to the key of their DPoP proof. Only in low may the proof be left out.
 */
export const publicToken = (deps: PublicTokenDeps) =>
  route({
    method: 'POST',
    path: '/token',
    listener: 'public',
    summary: 'Exchange a token for a narrower one, by private_key_jwt (RFC 8693)',
    access: 'anyone',
    audit: 'token.exchanged',
    consumes: 'form',
    errors: 'oauth',
    bodyLimit: 32_768,
    body: assertedForm,
    answers: exchangeAnswers,
    problems: ['unsupported_grant_type', 'invalid_client', 'keys_unavailable', 'revocation_unavailable'],
    async handle({ body, request }, audit) {
      if (body.grant_type !== TOKEN_EXCHANGE) throw problem('unsupported_grant_type');
      const workload = await authenticatedBy(deps, body.client_assertion, body.client_id);
      const authenticate = async (): Promise<Authenticated> => {
        const binding = await bindingOf(deps, request);
        const proven = binding.kind === 'dpop' ? { provenKey: binding.jkt, dpop: { ...here(request), proof: '' } } : {};
        return { caller: { workload, binding }, presented: { workload, ...proven } };
      };
      return answerExchange(deps, body, { workload, binding: { kind: 'none' } }, authenticate, audit);
    },
  });

/** @throws Problem `invalid_client`: one answer, whatever is wrong with the assertion */
async function authenticatedBy(deps: PublicTokenDeps, assertion: string, named: string | undefined): Promise<string> {
  const { issuer, profile, useOnce, now } = deps;
  const { document: policy } = await deps.policies.current();
  const keysOf = (client: string) => workloadOf(policy, client)?.clientKeys;
  const check = { assertion, audience: issuer.issuer, keysOf, algorithms: profile.verifyAlgs, useOnce, now };
  const client = await checkClientAssertion(check).catch((cause: unknown) => {
    throw cause instanceof TokenRefused ? problem('invalid_client', { cause }) : cause;
  });
  const workload = workloadOf(policy, client);
  if (!workload || (named !== undefined && named !== client)) throw problem('invalid_client');
  return workload.name;
}

const workloadOf = ({ workloads }: PolicyDocument, client: string) =>
  workloads.find((workload) => (workload.client ?? workload.name) === client);

type Request = { dpop: string | null; url: string };
const here = ({ url }: Request) => ({ method: 'POST', url });

async function bindingOf({ profile, useOnce, now }: PublicTokenDeps, request: Request): Promise<Binding> {
  if (request.dpop === null) {
    if (profile.senderBinding === 'required') throw new ExchangeRefused('proof_needed');
    return { kind: 'none' };
  }
  const check = { proof: request.dpop, ...here(request), algorithms: profile.verifyAlgs, useOnce, now };
  return { kind: 'dpop', jkt: await checkDpopProof(check) };
}
