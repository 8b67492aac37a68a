import { createHash, createPublicKey, generateKeyPairSync, randomBytes, randomUUID, type KeyObject } from 'node:crypto';

import { SignJWT, type JWK } from 'jose';
import { Agent, request } from 'undici';

import { developmentPassword } from '../development-realm.ts';
import { openHeadlessBrowser, type HeadlessBrowser } from '../headless-browser.ts';
import { callback } from './world.ts';

export type Answer = { status: number; text: string; body: Record<string, unknown> };
export type Claims = Record<string, unknown> & { cnf?: Record<string, string>; aud?: string | string[] };

/** How a client proves itself; the TLS certificate, if any, is presented on every connection. */
export type PartyOptions = {
  issuer: string;
  ca: string;
  clientId: string;
  certificate?: { cert: string; key: string };
  secret?: string;
  key?: { private: KeyObject; kid: string };
};

export type SendOptions = { dpop?: KeyObject; headers?: Record<string, string>; assertion?: string };
export type LoginOptions = SendOptions & { scope?: string; par?: boolean; browser?: HeadlessBrowser; extra?: Form };
type Form = Record<string, string>;

export const newDpopKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
export const thumbprintOfKey = (key: KeyObject) => {
  const { crv, kty, x, y } = createPublicKey(key).export({ format: 'jwk' });
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
};

/** RFC 9449, 4.2. */
export async function dpopProof(key: KeyObject, method: string, url: string, token?: string): Promise<string> {
  const { kty, crv, x, y } = createPublicKey(key).export({ format: 'jwk' }) as JWK;
  const ath = token && createHash('sha256').update(token).digest('base64url');
  return new SignJWT({ jti: randomUUID(), htm: method, htu: url, ...(ath ? { ath } : {}) })
    .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } as JWK })
    .setIssuedAt()
    .sign(key);
}

const part = (token: unknown, index: number) =>
  JSON.parse(Buffer.from(String(token).split('.')[index] ?? '', 'base64url').toString()) as Claims;
export const claimsOf = (token: unknown) => part(token, 1);
export const headerOf = (token: unknown) => part(token, 0);
export const audiencesOf = ({ aud }: Claims) => (aud === undefined ? [] : [aud].flat().sort());
export const scopesOf = (body: Record<string, unknown>) =>
  String(body['scope'] ?? '')
    .split(' ')
    .filter(Boolean)
    .sort();

export type RelyingParty = ReturnType<typeof openRelyingParty>;

/** One OAuth client of the contract, over one TLS identity. */
export function openRelyingParty({ issuer, ca, clientId, certificate, secret, key }: PartyOptions) {
  const dispatcher = new Agent({ connect: { ca, ...certificate } });
  const endpoint = (path: string) => `${issuer}/protocol/openid-connect/${path}`;

  const assertion = (audience = issuer) => {
    if (!key) throw new Error('this client has no key');
    return new SignJWT({ jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256', kid: key.kid })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime('50s')
      .sign(key.private);
  };

  const send = async (url: string, method: 'GET' | 'POST', headers: Record<string, string>, body?: string) => {
    const answer = await request(url, { dispatcher, method, headers, ...(body === undefined ? {} : { body }) });
    const text = await answer.body.text();
    const json = /^\s*\{/.test(text) ? (JSON.parse(text) as Record<string, unknown>) : {};
    return { status: answer.statusCode, text, body: json, location: String(answer.headers['location'] ?? '') };
  };

  /** A POST of a form, with the client's own authentication. A repeated field is given as a list. */
  const post = async (path: string, form: Record<string, string | string[]>, options: SendOptions = {}) => {
    const fields = new URLSearchParams({ client_id: clientId, ...(secret ? { client_secret: secret } : {}) });
    if (key) {
      fields.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
      fields.set('client_assertion', options.assertion ?? (await assertion()));
    }
    for (const [name, value] of Object.entries(form)) for (const one of [value].flat()) fields.append(name, one);
    const headers: Record<string, string> = { 'content-type': 'application/x-www-form-urlencoded', ...options.headers };
    if (options.dpop) headers['dpop'] = await dpopProof(options.dpop, 'POST', endpoint(path));
    return send(endpoint(path), 'POST', headers, fields.toString());
  };

  /** Where a browser is sent to log in; pushed first (RFC 9126) unless told otherwise. */
  const authorization = async ({ scope = 'openid', par = true, extra = {}, ...options }: LoginOptions = {}) => {
    const verifier = randomBytes(32).toString('base64url');
    const params: Form = {
      response_type: 'code',
      redirect_uri: callback,
      scope,
      state: 'the-state',
      nonce: 'the-nonce',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...extra,
    };
    for (const name of Object.keys(params)) if (params[name] === '') delete params[name];
    const query = par ? await pushed(params, options) : { client_id: clientId, ...params };
    return { url: `${endpoint('auth')}?${new URLSearchParams(query).toString()}`, verifier };
  };
  const pushed = async (params: Form, options: SendOptions): Promise<Form> => {
    const answer = await post('ext/par/request', params, options);
    if (answer.status !== 201) throw new Error(`PAR: ${answer.status} ${answer.text}`);
    return { client_id: clientId, request_uri: String(answer.body['request_uri']) };
  };

  const redeem = (callbackUrl: URL, verifier: string, options: SendOptions = {}) =>
    post(
      'token',
      {
        grant_type: 'authorization_code',
        code: callbackUrl.searchParams.get('code') ?? '',
        redirect_uri: callback,
        code_verifier: verifier,
      },
      options,
    );

  return {
    clientId,
    endpoint,
    assertion,
    post,
    authorization,
    redeem,
    get: (url: string, headers: Record<string, string> = {}) => send(url, 'GET', headers),
    refresh: (token: unknown, more: Form = {}, options: SendOptions = {}) =>
      post('token', { grant_type: 'refresh_token', refresh_token: String(token), ...more }, options),
    introspect: (token: unknown) => post('token/introspect', { token: String(token) }),
    exchange: (subjectToken: unknown, more: Record<string, string | string[]> = {}, options: SendOptions = {}) =>
      post(
        'token',
        {
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token: String(subjectToken),
          subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
          ...more,
        },
        options,
      ),
    /** Logs a person in and redeems the code. */
    login: async (username: string, options: LoginOptions = {}) => {
      const browser = options.browser ?? openHeadlessBrowser({ ca });
      try {
        const { url, verifier } = await authorization(options);
        const password = developmentPassword(username);
        const back = await browser.login(url, { username, password, redirectUri: callback });
        return await redeem(back, verifier, options);
      } finally {
        if (!options.browser) await browser.close();
      }
    },
    close: () => dispatcher.close(),
  };
}
