import { Secret } from '@postern/runtime';
import * as client from 'openid-client';
import type { CryptoKey } from 'jose';
import { fetch as undiciFetch, type Dispatcher, type RequestInit } from 'undici';
import { compareClocks } from './compare-clocks.ts';
import { ProviderFailed, providerFailed } from './provider-failed.ts';

/** How this client proves itself. A certificate is the dispatcher's; an assertion is signed for the issuer (FAPI 2.0 5.3.3). */
export type ClientAuthentication =
  | { method: 'private_key_jwt'; key: CryptoKey; kid?: string }
  | { method: 'tls_client_auth' }
  | { method: 'client_secret_basic'; secret: Secret };

export type ProviderSpec = {
  issuer: string;
  clientId: string;
  authentication: ClientAuthentication;
  /** With it every token is DPoP-bound to this key pair (RFC 9449); the public key must be extractable. */
  dpop?: { privateKey: CryptoKey; publicKey: CryptoKey };
  /** Trust anchors, client certificate, guarded addresses (R35): all of it is the dispatcher's. */
  dispatcher: Dispatcher;
  timeoutSeconds?: number;
  /** Pushed authorization requests (RFC 9126): FAPI 2.0 asks for them; elsewhere they are made where the provider takes them. Default `required`. */
  pushedRequests?: 'required' | 'when_offered';
};

/** Where a browser is sent, and what must be kept for the callback. */
export type AuthorizationRequest = { url: string; state: string; nonce: string; verifier: Secret };

export type ProviderTokens = {
  accessToken: Secret;
  tokenType: string;
  /** Seconds. */
  expiresIn: number | undefined;
  refreshToken: Secret | undefined;
  /** Seconds in which the refresh token dies unused, where the provider says so (Keycloak's `refresh_expires_in`). */
  refreshExpiresIn: number | undefined;
  /** As the provider answered; `undefined` means what was asked (RFC 6749 section 5.1). */
  scopes: readonly string[] | undefined;
  /** Claims of the ID token; its signature, issuer, audience and nonce were checked. */
  idToken: client.IDToken | undefined;
  /** The raw ID token, for `id_token_hint`. */
  rawIdToken: Secret | undefined;
};

/** `over` takes the place of the spec's dispatcher for this call (a deadline right before writing, R20). */
export type CallOptions = { over?: Dispatcher };

/**
 * What the tokens of one call are bound to, in place of the spec's own key: the key of somebody else's DPoP proof for the
 * token endpoint, passed through as it came (R10); or nothing.
 */
export type BoundTo = { proof: string } | 'nobody';

export type Provider = {
  issuer: string;
  clientId: string;
  /** How far the provider's clock is ahead of ours, by its answer to discovery; 0 where it is within what both sides tolerate. */
  clockOffsetSeconds: number;
  /** Whether authorization responses carry `iss` (RFC 9207). */
  sendsIssuer: boolean;
  metadata: Readonly<client.ServerMetadata>;
  /** An authorization request with PKCE S256, a nonce and a state (one is made when none is given), pushed (RFC 9126) where that is offered. */
  startAuthorization(asked: {
    redirectUri: string;
    scopes: readonly string[];
    state?: string;
    parameters?: Readonly<Record<string, string>>;
  }): Promise<AuthorizationRequest>;
  /**
   * Redeems the code at the callback. `callbackUrl` is the registered redirect URI with the query that arrived; state,
   * `iss` (RFC 9207), nonce and the ID token are checked.
   */
  redeem(from: { callbackUrl: URL; state: string; nonce: string; verifier: Secret }): Promise<ProviderTokens>;
  refresh(
    token: Secret,
    options?: CallOptions & { scopes?: readonly string[]; boundTo?: BoundTo },
  ): Promise<ProviderTokens>;
  /** RFC 8693: one of this client's own access tokens for a narrower one. */
  exchange(
    subject: Secret,
    asked: { scopes: readonly string[]; audiences: readonly string[]; boundTo?: BoundTo } & CallOptions,
  ): Promise<ProviderTokens>;
  clientCredentials(options?: CallOptions & { scopes?: readonly string[] }): Promise<ProviderTokens>;
  /** RFC 7662. */
  introspect(token: Secret, options?: CallOptions & { hint?: TokenHint }): Promise<client.IntrospectionResponse>;
  /** RFC 7009; a token that is dead already is a success. */
  revoke(token: Secret, options?: CallOptions & { hint?: TokenHint }): Promise<void>;
};

export type TokenHint = 'access_token' | 'refresh_token';

/**
 * Reads the provider's metadata and returns its calls for one client. Every call rejects with {@link ProviderFailed}
 * and with nothing else.
 * @throws ProviderFailed where the provider does not answer, names another issuer, or lacks pushed requests that are required
 */
export async function openProvider(spec: ProviderSpec): Promise<Provider> {
  const { issuer, clientId, dispatcher, dpop } = spec;
  const metadataOf = { [client.clockTolerance]: 10, use_mtls_endpoint_aliases: usesCertificate(spec) };
  const authenticate = authenticationOf(spec.authentication);
  const timeout = spec.timeoutSeconds ?? 10;
  const clocks = compareClocks();
  const discovered = await attempt(() =>
    client.discovery(new URL(issuer), clientId, metadataOf, authenticate, {
      [client.customFetch]: clocks.over(fetchOver(dispatcher)),
      timeout,
    }),
  );
  const metadata = discovered.serverMetadata();
  const pushes = metadata.pushed_authorization_request_endpoint !== undefined;
  if (metadata.issuer !== issuer || (!pushes && spec.pushedRequests !== 'when_offered')) {
    throw new ProviderFailed('untrusted', { error: 'unfit_metadata' });
  }
  // What is signed here and what came from there is judged by the provider's clock: its own checks are.
  const dated = { ...metadataOf, [client.clockSkew]: clocks.followed() };

  /** The configuration by another way out, or with somebody else's proof. */
  function configured(over: Dispatcher, proof?: string): client.Configuration {
    const configuration = new client.Configuration({ ...metadata }, clientId, dated, authenticate);
    configuration[client.customFetch] = fetchOver(over, proof);
    configuration.timeout = timeout;
    return configuration;
  }
  const own = configured(dispatcher);
  const proofs = dpop && { DPoP: client.getDPoPHandle(own, dpop) };

  function through(over: Dispatcher | undefined, boundTo?: BoundTo): client.Configuration {
    const proof = typeof boundTo === 'object' ? boundTo.proof : undefined;
    return over === undefined && proof === undefined ? own : configured(over ?? dispatcher, proof);
  }
  let keys: client.ExportedJWKSCache | undefined;
  /**
   * Signatures of ID tokens are checked although they come over TLS from the issuer itself. openid-client looks again for a key
   * that it does not know a minute after the last look at the earliest; nobody but the issuer makes us look here, so a key that
   * is new since then is looked for at once.
   */
  async function withItsKeys<Answer>(redeem: (by: client.Configuration) => Promise<Answer>): Promise<Answer> {
    const by = configured(dispatcher);
    client.enableNonRepudiationChecks(by);
    const minuteAgo = Math.floor(Date.now() / 1000) - 60;
    if (keys) client.setJwksCache(by, { ...keys, uat: Math.min(keys.uat, minuteAgo) });
    try {
      return await redeem(by);
    } finally {
      keys = client.getJwksCache(by);
    }
  }
  /** Own proofs, unless the tokens are for somebody else. */
  const proofsFor = (boundTo: BoundTo | undefined) => (boundTo === undefined ? proofs : undefined);

  return {
    issuer,
    clientId,
    clockOffsetSeconds: clocks.offset(),
    sendsIssuer: metadata.authorization_response_iss_parameter_supported === true,
    metadata,
    async startAuthorization({ redirectUri, scopes, state = client.randomState(), parameters }) {
      const verifier = client.randomPKCECodeVerifier();
      const nonce = client.randomNonce();
      const pushed = {
        ...parameters,
        response_type: 'code',
        redirect_uri: redirectUri,
        scope: scopes.join(' '),
        state,
        nonce,
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      };
      const url = await attempt(async () =>
        pushes ? client.buildAuthorizationUrlWithPAR(own, pushed, proofs) : client.buildAuthorizationUrl(own, pushed),
      );
      return { url: url.href, state, nonce, verifier: new Secret(verifier) };
    },
    async redeem({ callbackUrl, state, nonce, verifier }) {
      const checks = {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier.reveal(),
        idTokenExpected: true,
      };
      return tokensOf(
        await attempt(() =>
          withItsKeys((by) => client.authorizationCodeGrant(by, callbackUrl, checks, undefined, proofs)),
        ),
      );
    },
    async refresh(token, { over, scopes, boundTo } = {}) {
      const asked = scopesAsked(scopes);
      const configuration = through(over, boundTo);
      return tokensOf(
        await attempt(() => client.refreshTokenGrant(configuration, token.reveal(), asked, proofsFor(boundTo))),
      );
    },
    async exchange(subject, { scopes, audiences, boundTo, over }) {
      const asked = new URLSearchParams({
        subject_token: subject.reveal(),
        subject_token_type: ACCESS_TOKEN_TYPE,
        requested_token_type: ACCESS_TOKEN_TYPE,
        ...scopesAsked(scopes),
      });
      for (const audience of audiences) asked.append('audience', audience);
      const configuration = through(over, boundTo);
      return tokensOf(
        await attempt(() => client.genericGrantRequest(configuration, TOKEN_EXCHANGE, asked, proofsFor(boundTo))),
      );
    },
    async clientCredentials({ over, scopes } = {}) {
      const asked = scopesAsked(scopes);
      return tokensOf(await attempt(() => client.clientCredentialsGrant(through(over), asked, proofs)));
    },
    introspect: (token, { over, hint } = {}) =>
      attempt(() => client.tokenIntrospection(through(over), token.reveal(), hinted(hint))),
    revoke: (token, { over, hint } = {}) =>
      attempt(() => client.tokenRevocation(through(over), token.reveal(), hinted(hint))),
  };
}

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token';

const usesCertificate = ({ authentication }: ProviderSpec) => authentication.method === 'tls_client_auth';
const scopesAsked = (scopes: readonly string[] | undefined): Record<string, string> =>
  scopes === undefined ? {} : { scope: scopes.join(' ') };
const hinted = (hint: TokenHint | undefined): Record<string, string> => (hint ? { token_type_hint: hint } : {});

function authenticationOf(authentication: ClientAuthentication): client.ClientAuth {
  if (authentication.method === 'tls_client_auth') return client.TlsClientAuth();
  if (authentication.method === 'client_secret_basic') return client.ClientSecretBasic(authentication.secret.reveal());
  const { key, kid } = authentication;
  return client.PrivateKeyJwt(kid === undefined ? key : { key, kid });
}

/** openid-client asks for `redirect: 'manual'` itself: nothing is ever followed. */
function fetchOver(dispatcher: Dispatcher, proof?: string): client.CustomFetch {
  return async (url, options) => {
    const headers = proof === undefined ? options.headers : { ...options.headers, dpop: proof };
    const init = { ...options, headers, dispatcher } as RequestInit;
    const answer = await undiciFetch(url, init);
    // RFC 7009 has no body to check: a page that stands before the provider must not pass for its answer.
    if (answer.status === 200 && answer.headers.get('content-type')?.startsWith('text/html')) {
      await answer.body?.cancel();
      throw new ProviderFailed('unknown', { error: 'page_for_answer', status: 200 });
    }
    return answer as unknown as Response;
  };
}

async function attempt<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  try {
    return await call();
  } catch (error) {
    throw providerFailed(error);
  }
}

function tokensOf(answer: client.TokenEndpointResponse & client.TokenEndpointResponseHelpers): ProviderTokens {
  const { refresh_token: refreshToken, refresh_expires_in: idle, id_token: idToken, scope } = answer;
  return {
    accessToken: new Secret(answer.access_token),
    tokenType: answer.token_type,
    expiresIn: answer.expiresIn(),
    refreshToken: refreshToken === undefined ? undefined : new Secret(refreshToken),
    refreshExpiresIn: typeof idle === 'number' && idle > 0 ? idle : undefined,
    scopes: scope?.split(' ').filter(Boolean),
    idToken: answer.claims(),
    rawIdToken: idToken === undefined ? undefined : new Secret(idToken),
  };
}
