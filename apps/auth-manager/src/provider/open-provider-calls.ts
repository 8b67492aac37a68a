import { beforeWriting, type Egress } from '@postern/egress';
import { type Provider, ProviderFailed } from '@postern/oidc';
import type { Profile } from '@postern/profile';
import { type Logger, type Now, problem } from '@postern/runtime';
import type { JWTVerifyGetKey } from 'jose';
import { type ClientIdentity, openAs } from './client-identity.ts';
import { holdProvider } from './hold-provider.ts';
import type { ProviderCalls } from './provider-calls.ts';
import { accessOf, inspectedOf, introspectedOf, redeemedOf } from './read-answers.ts';
import { outcomeOf } from './refresh-outcome.ts';
import { readSignedResponse } from './signed-responses.ts';

export type OpenProviderCalls = {
  issuer: string;
  /** Asked at each call, so that a key that was rotated is used without a restart. */
  identity: () => Promise<ClientIdentity>;
  egress: Egress;
  logger: Logger;
  profile: Pick<Profile, 'fapi' | 'verifyAlgs'>;
  /** The provider's published keys. */
  keys: () => JWTVerifyGetKey;
  now: Now;
};

/** Whether the provider can be asked about a token; where it cannot, nothing is known to be active. */
const asks = ({ metadata }: Provider): boolean => metadata.introspection_endpoint !== undefined;

/**
 * What the caller is told. A refusal and an answer that fails a check are the provider's word on what it was `asked`; of a `look`,
 * which can be repeated, and of what it turned away for now they say nothing.
 */
function problemOf(error: ProviderFailed, what: 'asked' | 'look') {
  const { kind, status = 0, retryAfterSeconds } = error;
  const judged = (kind === 'refused' && status !== 429 && status < 500) || kind === 'untrusted';
  if (judged && what === 'asked') return problem('provider_refused', { cause: error });
  return problem('provider_unavailable', { cause: error, retryAfterSeconds: Math.ceil(retryAfterSeconds ?? 5) });
}

/**
 * The provider's calls for this service: its client's proof, DPoP-bound tokens, everything through the guarded way out.
 */
export function openProviderCalls(spec: OpenProviderCalls): ProviderCalls {
  const { issuer, egress, logger, profile } = spec;
  const held = holdProvider({
    identity: spec.identity,
    open: (identity) =>
      openAs(identity, {
        issuer,
        dispatcher: egress.dispatcher,
        pushedRequests: profile.fapi ? 'required' : 'when_offered',
      }),
    logger,
    now: spec.now,
  });

  /** One call; what the provider did wrong becomes a problem with a fixed text, its own words go nowhere. */
  async function call<Result>(
    name: string,
    act: (opened: Provider) => Promise<Result>,
    what: 'asked' | 'look' = 'asked',
  ): Promise<Result> {
    try {
      return await act(await held.get());
    } catch (error) {
      if (!(error instanceof ProviderFailed)) throw error;
      logger.warn({ operation: name, reason: error.kind, code: error.error }, 'the provider gave no good answer');
      held.failed(error);
      throw problemOf(error, what);
    }
  }

  const look = <Result>(name: string, act: (opened: Provider) => Promise<Result>) => call(name, act, 'look');

  return {
    issuer,
    clientId: async () => (await spec.identity()).clientId,
    sendsIssuer: () => look('discover', async ({ sendsIssuer }) => sendsIssuer),
    jwksUri: () =>
      look('discover', async ({ metadata }) => {
        if (metadata.jwks_uri === undefined) throw new ProviderFailed('untrusted', { error: 'unfit_metadata' });
        return metadata.jwks_uri;
      }),
    check: async () => void (await held.get()),
    endSessionUrl: () => look('discover', async ({ metadata }) => metadata.end_session_endpoint ?? null),
    async readResponse(response) {
      const clientId = (await spec.identity()).clientId;
      const { now } = spec;
      return readSignedResponse({ issuer, clientId, algorithms: profile.verifyAlgs, keys: spec.keys(), now }, response);
    },
    pushAuthorization: ({ scopes, state, redirectUri, signedResponse }) =>
      call('push_authorization', async (opened) => {
        const modes = opened.metadata.response_modes_supported;
        if (signedResponse && !(Array.isArray(modes) && modes.includes('jwt'))) {
          throw new ProviderFailed('untrusted', { error: 'no_signed_responses' });
        }
        // Without consent asked for, a provider may give no offline token (OpenID Connect Core 11).
        const parameters = { prompt: 'consent', ...(signedResponse ? { response_mode: 'jwt' } : {}) };
        return opened.startAuthorization({ redirectUri, scopes, state, parameters });
      }),
    redeem: ({ callback, state, nonce, verifier }) =>
      call('redeem', async (opened) =>
        redeemedOf(await opened.redeem({ callbackUrl: callback, state, nonce, verifier })),
      ),
    async refresh(token, check, ask) {
      const opened = await held.get().catch(() => undefined);
      if (!opened) return { kind: 'not_sent' };
      let stopped = false;
      const over = egress.dispatcher.compose(
        beforeWriting(() => {
          try {
            check();
          } catch (error) {
            stopped = true;
            throw error;
          }
        }),
      );
      try {
        const tokens = await opened.refresh(token, { over, ...ask });
        const { refreshToken, refreshExpiresIn: idleSeconds } = tokens;
        const rotated = refreshToken && refreshToken.reveal() !== token.reveal() ? refreshToken : undefined;
        return { kind: 'tokens', rotated, idleSeconds, ...(ask && { access: accessOf(tokens) }) };
      } catch (error) {
        held.failed(error);
        const outcome = outcomeOf(error, stopped, ask);
        const code = error instanceof ProviderFailed ? error.error : undefined;
        logger.warn({ operation: 'refresh', reason: outcome.kind, code }, 'the provider gave no new token');
        return outcome;
      }
    },
    exchange: (subject, ask) => call('exchange', async (opened) => accessOf(await opened.exchange(subject, ask))),
    introspect: (token) =>
      look('introspect', async (opened) =>
        asks(opened)
          ? introspectedOf(await opened.introspect(token, { hint: 'refresh_token' }))
          : introspectedOf({ active: false }),
      ),
    isActive: (token) =>
      look(
        'introspect',
        async (opened) => asks(opened) && (await opened.introspect(token, { hint: 'refresh_token' })).active,
      ),
    inspect: (token, hint) =>
      call('introspect', async (opened) =>
        asks(opened) ? inspectedOf(await opened.introspect(token, { hint })) : { active: false },
      ),
    revoke: (token) =>
      look('revoke', async (opened) => {
        if (opened.metadata.revocation_endpoint !== undefined) await opened.revoke(token, { hint: 'refresh_token' });
      }),
  };
}
