import { route } from '@postern/http';
import { checkDpopProof, type Binding, type UseOnce } from '@postern/oidc';
import type { Profile } from '@postern/profile';
import { problem } from '@postern/runtime';
import { authenticateClient, clientCredentials, type AuthenticateClient } from '../clients/authenticate-client.ts';
import { ExchangeRefused } from '../exchanges/refusal.ts';
import { answerExchange, preferred, preferHeader, type AnswerExchange, type Authenticated } from './answer-exchange.ts';
import { exchangeAnswers } from './exchange-answers.ts';
import { exchangeForm, TOKEN_EXCHANGE } from './exchange-form.ts';

export type PublicTokenDeps = AnswerExchange & AuthenticateClient & { profile: Profile; useOnce: UseOnce };

const form = exchangeForm.extend(clientCredentials);

/**
 * RFC 8693 on the public listener, for workloads without a certificate: `private_key_jwt` under the keys that the policy
 * has for them, and a token bound to the key of their DPoP proof. Only in low HTTP Basic will do, and the proof may be left out.
 */
export const publicToken = (deps: PublicTokenDeps) =>
  route({
    method: 'POST',
    path: '/token',
    listener: 'public',
    summary: 'Exchange a token for a narrower one, without a certificate (RFC 8693)',
    description:
      'On the public listener: the caller proves itself by `private_key_jwt`, and the token is bound to the key of its DPoP proof. Only the low profile takes HTTP Basic, and leaves the proof out.',
    access: 'anyone',
    audit: 'token.exchanged',
    tier: 'relaxed',
    consumes: 'form',
    errors: 'oauth',
    bodyLimit: 65_536,
    headers: preferHeader,
    body: form,
    answers: exchangeAnswers,
    problems: [
      'unsupported_grant_type',
      'invalid_client',
      'several_methods',
      'keys_unavailable',
      'revocation_unavailable',
      'provider_unavailable',
    ],
    async handle({ body, headers, request }, audit) {
      if (body.grant_type !== TOKEN_EXCHANGE) throw problem('unsupported_grant_type');
      const workload = await authenticateClient(deps, body, request);
      const authenticate = async (): Promise<Authenticated> => {
        const binding = await bindingOf(deps, request);
        const proven = binding.kind === 'dpop' ? { provenKey: binding.jkt, dpop: { ...here(request), proof: '' } } : {};
        return { caller: { workload, binding }, presented: { workload, ...proven } };
      };
      const caller = { workload, binding: { kind: 'none' as const } };
      return answerExchange(deps, body, caller, authenticate, audit, preferred(headers));
    },
  });

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
