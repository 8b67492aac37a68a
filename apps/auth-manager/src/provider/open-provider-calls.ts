import { beforeWriting, type Egress, EgressRefused } from '@postern/egress';
import { openProvider, type Provider, ProviderFailed, type ProviderSpec, type ProviderTokens } from '@postern/oidc';
import type { Profile } from '@postern/profile';
import { type Logger, type Now, problem, type Secret } from '@postern/runtime';
import { type CryptoKey, importJWK, type JWK, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import type {
  AccessToken,
  Inspected,
  Introspected,
  ProviderCalls,
  Redeemed,
  RefreshOutcome,
  TokenAsk,
} from './provider-calls.ts';
import { readSignedResponse } from './signed-responses.ts';

/** Who this service is at a provider. Another `generation`: from here on it is somebody else, with another key. */
export type ClientIdentity = {
  clientId: string;
  /** Private P-256 JWK of the client's assertions (R9); or, in low at a tenant's provider, a secret. */
  proof: { clientKey: JWK } | { clientSecret: Secret };
  /** Private P-256 JWK of its DPoP proofs. */
  dpopKey: JWK;
  generation: string;
};

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

async function signingKey(jwk: JWK): Promise<CryptoKey> {
  return (await importJWK(jwk, 'ES256')) as CryptoKey;
}

async function keyPair(jwk: JWK) {
  const { kty, crv, x, y } = jwk;
  const publicKey = (await importJWK({ kty, crv, x, y } as JWK, 'ES256', { extractable: true })) as CryptoKey;
  return { privateKey: await signingKey(jwk), publicKey };
}

async function authenticationBy(proof: ClientIdentity['proof']): Promise<ProviderSpec['authentication']> {
  if ('clientSecret' in proof) return { method: 'client_secret_basic', secret: proof.clientSecret };
  const { clientKey } = proof;
  const named = clientKey.kid === undefined ? {} : { kid: clientKey.kid };
  return { method: 'private_key_jwt', key: await signingKey(clientKey), ...named };
}

const seconds = (value: unknown): Date | undefined => (typeof value === 'number' ? new Date(value * 1000) : undefined);
const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** Where a provider does not say how long its token lives, it is taken for this short. */
const UNSAID_LIFE_SECONDS = 60;

const accessOf = ({ accessToken, tokenType, expiresIn, scopes }: ProviderTokens): AccessToken => ({
  token: accessToken,
  type: tokenType.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer',
  expiresIn: expiresIn ?? UNSAID_LIFE_SECONDS,
  scopes,
});

/** Keycloak names the kind in `typ`; elsewhere the scope tells. */
function kindOf({ typ, scope }: Record<string, unknown>): Introspected['kind'] {
  const offline = text(scope)?.split(' ').includes('offline_access') === true;
  switch (text(typ)?.toLowerCase()) {
    case 'offline':
      return 'offline';
    case 'refresh':
      return 'refresh';
    case undefined:
      return offline ? 'offline' : 'refresh';
    default:
      return 'other';
  }
}

const introspectedOf = ({ active, ...said }: { active: boolean } & Record<string, unknown>): Introspected => ({
  active,
  client: text(said['client_id']) ?? text(said['azp']),
  issuer: text(said['iss']),
  sub: text(said['sub']),
  session: text(said['sid']),
  kind: kindOf(said),
  acr: text(said['acr']),
  authTime: seconds(said['auth_time']),
  expiresAt: seconds(said['exp']),
  scopes: text(said['scope'])?.split(' '),
  certificateBound: typeof said['cnf'] === 'object' && said['cnf'] !== null && Object.hasOwn(said['cnf'], 'x5t#S256'),
});

function redeemedOf({ refreshToken, refreshExpiresIn, scopes, idToken }: ProviderTokens): Redeemed {
  if (!idToken) throw problem('provider_refused');
  const { iss, sub, sid, acr, auth_time } = idToken;
  return {
    refreshToken,
    idleSeconds: refreshExpiresIn,
    scopes,
    idToken: { iss, sub, sid: text(sid), acr: text(acr), authTime: seconds(auth_time) },
  };
}

function inspectedOf(answer: Awaited<ReturnType<Provider['introspect']>>): Inspected {
  if (!answer.active) return { active: false };
  // RFC 7662 2.2: the members are claims. `active` and `username` are about the answer, not about the token.
  const { active: _active, username: _username, ...claims } = answer;
  return {
    active: true,
    clientId: text(answer.client_id) ?? text(answer['azp']),
    issuer: text(answer.iss),
    sub: text(answer.sub),
    sessionId: text(answer['sid']) ?? text(answer['session_state']),
    scopes: text(answer.scope)?.split(' ').filter(Boolean),
    type: text(answer['typ']),
    claims: claims as JWTPayload,
  };
}

/** Whether the provider can be asked about a token; where it cannot, nothing is known to be active. */
const asks = ({ metadata }: Provider): boolean => metadata.introspection_endpoint !== undefined;

/** Whether some layer below says for certain that no byte of the request left. */
function neverSent(error: unknown): boolean {
  for (let next = error, depth = 0; next instanceof Error && depth < 8; next = next.cause, depth++) {
    if (next instanceof EgressRefused) return !next.sent;
    if (next instanceof ProviderFailed && next.kind === 'not_sent') return true;
  }
  return false;
}

/** What a failed refresh means for the token that was sent (R20). */
function outcomeOf(error: unknown, stopped: boolean, ask?: TokenAsk): RefreshOutcome {
  if (stopped || neverSent(error)) return { kind: 'not_sent' };
  if (!(error instanceof ProviderFailed) || error.kind !== 'refused') return { kind: 'unknown' };
  if (error.error === 'invalid_grant') return { kind: 'refused' };
  // A 5xx with an OAuth body says nothing about what became of the token.
  const { status = 500, retryAfterSeconds } = error;
  if (status >= 500) return { kind: 'unknown' };
  // Keycloak says `invalid_request` of a proof; RFC 9449, section 5, has a code for it.
  const ofRequest = error.error === 'invalid_request' || error.error === 'invalid_dpop_proof';
  const proofRefused = ofRequest && typeof ask?.boundTo === 'object';
  return { kind: 'rejected', retryAfterSeconds, proofRefused };
}

/**
 * The provider's calls for this service: its client's proof, DPoP-bound tokens, everything through the guarded way out.
 * Its metadata are read at the first call, and again until that succeeds, so that this service starts without it.
 */
export function openProviderCalls(spec: OpenProviderCalls): ProviderCalls {
  const { issuer, egress, logger, profile } = spec;
  let opening: { generation: string; provider: Promise<Provider> } | undefined;

  async function open({ clientId, proof, dpopKey }: ClientIdentity): Promise<Provider> {
    const authentication = await authenticationBy(proof);
    const { dispatcher } = egress;
    const pushedRequests = profile.fapi ? 'required' : 'when_offered';
    const dpop = await keyPair(dpopKey);
    return openProvider({ issuer, clientId, authentication, dpop, dispatcher, pushedRequests });
  }
  const provider = async (): Promise<Provider> => {
    const identity = await spec.identity();
    if (opening?.generation !== identity.generation) {
      const made = { generation: identity.generation, provider: open(identity) };
      opening = made;
      made.provider.catch(() => {
        if (opening === made) opening = undefined;
      });
    }
    return opening.provider;
  };

  /** One call; what the provider did wrong becomes a problem with a fixed text, its own words go nowhere. */
  async function call<Result>(name: string, act: (opened: Provider) => Promise<Result>): Promise<Result> {
    try {
      return await act(await provider());
    } catch (error) {
      if (!(error instanceof ProviderFailed)) throw error;
      logger.warn({ operation: name, reason: error.kind, code: error.error }, 'the provider gave no good answer');
      const refused = error.kind === 'refused' || error.kind === 'untrusted';
      throw problem(refused ? 'provider_refused' : 'provider_unavailable', { cause: error });
    }
  }

  return {
    issuer,
    clientId: async () => (await spec.identity()).clientId,
    sendsIssuer: () => call('discover', async ({ sendsIssuer }) => sendsIssuer),
    jwksUri: () =>
      call('discover', async ({ metadata }) => {
        if (metadata.jwks_uri === undefined) throw new ProviderFailed('untrusted', { error: 'unfit_metadata' });
        return metadata.jwks_uri;
      }),
    check: async () => void (await provider()),
    endSessionUrl: () => call('discover', async ({ metadata }) => metadata.end_session_endpoint ?? null),
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
      const opened = await provider().catch(() => undefined);
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
        const outcome = outcomeOf(error, stopped, ask);
        const code = error instanceof ProviderFailed ? error.error : undefined;
        logger.warn({ operation: 'refresh', reason: outcome.kind, code }, 'the provider gave no new token');
        return outcome;
      }
    },
    exchange: (subject, ask) => call('exchange', async (opened) => accessOf(await opened.exchange(subject, ask))),
    introspect: (token) =>
      call('introspect', async (opened) =>
        asks(opened)
          ? introspectedOf(await opened.introspect(token, { hint: 'refresh_token' }))
          : introspectedOf({ active: false }),
      ),
    isActive: (token) =>
      call(
        'introspect',
        async (opened) => asks(opened) && (await opened.introspect(token, { hint: 'refresh_token' })).active,
      ),
    inspect: (token, hint) =>
      call('introspect', async (opened) =>
        asks(opened) ? inspectedOf(await opened.introspect(token, { hint })) : { active: false },
      ),
    revoke: (token) =>
      call('revoke', async (opened) => {
        if (opened.metadata.revocation_endpoint !== undefined) await opened.revoke(token, { hint: 'refresh_token' });
      }),
  };
}
