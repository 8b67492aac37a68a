import { beforeWriting, type Egress } from '@postern/egress';
import { type Provider, ProviderFailed } from '@postern/oidc';
import type { Profile } from '@postern/profile';
import { type Logger, type Now, problem, type Secret } from '@postern/runtime';
import type { JWTVerifyGetKey } from 'jose';
import { type ClientIdentity, openAs } from './client-identity.ts';
import { type HeldProvider, holdProvider } from './hold-provider.ts';
import type { ProviderCalls, RefreshOutcome, TokenAsk } from './provider-calls.ts';
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

type Opened = OpenProviderCalls & { held: HeldProvider };

/**
 * The provider's calls for this service: its client's proof, DPoP-bound tokens, everything through the guarded way out.
 */
export function openProviderCalls(spec: OpenProviderCalls): ProviderCalls {
  const { issuer, egress, profile, logger, now, identity } = spec;
  const pushedRequests = profile.fapi ? 'required' : 'when_offered';
  const held = holdProvider({
    identity,
    open: (client) => openAs(client, { issuer, dispatcher: egress.dispatcher, pushedRequests }),
    logger,
    now,
  });
  const opened = { ...spec, held };
  return {
    issuer,
    clientId: async () => (await identity()).clientId,
    check: async () => void (await held.get()),
    ...looksAtMetadata(opened),
    ...consentCalls(opened),
    ...looksAtTokens(opened),
    refresh: (token, check, ask) => refresh(opened, token, check, ask),
    exchange: (subject, ask) =>
      call(opened, 'exchange', async (provider) => accessOf(await provider.exchange(subject, ask))),
    revoke: (token) =>
      look(opened, 'revoke', async (provider) => {
        const { revocation_endpoint } = provider.metadata;
        if (revocation_endpoint !== undefined) await provider.revoke(token, { hint: 'refresh_token' });
      }),
  };
}

/** One call; what the provider did wrong becomes a problem with a fixed text, its own words go nowhere. */
async function call<Result>(
  { held, logger }: Opened,
  name: string,
  act: (provider: Provider) => Promise<Result>,
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

const look = <Result>(opened: Opened, name: string, act: (provider: Provider) => Promise<Result>) =>
  call(opened, name, act, 'look');

const looksAtMetadata = (opened: Opened): Pick<ProviderCalls, 'sendsIssuer' | 'jwksUri' | 'endSessionUrl'> => ({
  sendsIssuer: () => look(opened, 'discover', async ({ sendsIssuer }) => sendsIssuer),
  jwksUri: () =>
    look(opened, 'discover', async ({ metadata: { jwks_uri } }) => {
      if (jwks_uri === undefined) throw new ProviderFailed('untrusted', { error: 'unfit_metadata' });
      return jwks_uri;
    }),
  endSessionUrl: () => look(opened, 'discover', async ({ metadata }) => metadata.end_session_endpoint ?? null),
});

const consentCalls = (opened: Opened): Pick<ProviderCalls, 'pushAuthorization' | 'readResponse' | 'redeem'> => ({
  pushAuthorization: ({ scopes, state, redirectUri, signedResponse }) =>
    call(opened, 'push_authorization', async (provider) => {
      const modes = provider.metadata.response_modes_supported;
      if (signedResponse && !(Array.isArray(modes) && modes.includes('jwt'))) {
        throw new ProviderFailed('untrusted', { error: 'no_signed_responses' });
      }
      // Without consent asked for, a provider may give no offline token (OpenID Connect Core 11).
      const parameters = { prompt: 'consent', ...(signedResponse ? { response_mode: 'jwt' } : {}) };
      return provider.startAuthorization({ redirectUri, scopes, state, parameters });
    }),
  async readResponse(response) {
    const { issuer, profile, now, keys } = opened;
    const { clientId } = await opened.identity();
    return readSignedResponse({ issuer, clientId, algorithms: profile.verifyAlgs, keys: keys(), now }, response);
  },
  redeem: ({ callback, ...flow }) =>
    call(opened, 'redeem', async (provider) => redeemedOf(await provider.redeem({ callbackUrl: callback, ...flow }))),
});

const looksAtTokens = (opened: Opened): Pick<ProviderCalls, 'introspect' | 'isActive' | 'inspect'> => {
  const said = async (provider: Provider, token: Secret, hint: 'access_token' | 'refresh_token') =>
    asks(provider) ? provider.introspect(token, { hint }) : { active: false };
  return {
    introspect: (token) =>
      look(opened, 'introspect', async (provider) => introspectedOf(await said(provider, token, 'refresh_token'))),
    isActive: (token) =>
      look(opened, 'introspect', async (provider) => (await said(provider, token, 'refresh_token')).active),
    inspect: (token, hint) =>
      call(opened, 'introspect', async (provider) => inspectedOf(await said(provider, token, hint))),
  };
};

/** A refresh never fails: what became of it is what it says (R20). `check` is asked right before the first byte is written. */
async function refresh(
  { held, egress, logger }: Opened,
  token: Secret,
  check: () => void,
  ask?: TokenAsk,
): Promise<RefreshOutcome> {
  const provider = await held.get().catch(() => undefined);
  if (!provider) return { kind: 'not_sent' };
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
    const tokens = await provider.refresh(token, { over, ...ask });
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
}
