import { randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, jwtVerify, SignJWT, type JWTPayload } from 'jose';

/** What becomes of a scope that is asked for: given, refused, or given once somebody has approved. */
export type LocalDecision = 'allow' | 'deny' | 'approve';

export type LocalPosternOptions = {
  /** Every scope there is, with the audience that takes it. */
  scopes: Readonly<Record<string, { audience: string; decision?: LocalDecision }>>;
  /** Seconds that a token lives; 300 unless given. */
  lifetimeSeconds?: number;
  /** Seconds between two polls of an approval; 1 unless given. */
  intervalSeconds?: number;
};

export type LocalApproval = {
  id: string;
  sub: string;
  audience: string | undefined;
  scopes: string[];
  state: 'pending' | 'approved' | 'denied';
};

export type LocalPostern = {
  /** `iss` of everything that is signed here. */
  issuer: string;
  /** For `fromEnvironment({ env })`. */
  env: Readonly<Record<string, string>>;
  /** A token that says for whom, without scopes unless given. */
  subjectToken(who: {
    sub: string;
    scopes?: readonly string[];
    audience?: string;
    lifetimeSeconds?: number;
  }): Promise<string>;
  /**
   * For a server under test: the claims of the token in an `Authorization` header. @throws Error where it is none of ours, over, or for another
   * audience
   */
  verify(authorization: string | undefined, audience: string): Promise<JWTPayload>;
  /** Exchanges that gave a token, oldest first. */
  exchanges: readonly { sub: string; audience: string | undefined; scopes: string[] }[];
  approvals(): LocalApproval[];
  decide(id: string, verdict: 'approved' | 'denied'): void;
  close(): Promise<void>;
};

const CLIENT_ID = 'local';
const REALM = 'local';
const LONGEST_FORM = 65_536;

/**
 * A local Postern for callers' own tests, in their process: the exchange's real protocol (RFC 8693 over HTTP on loopback, HTTP Basic, its own JWKS), tokens
 * really signed (ES256) and subject tokens really verified, scopes that are given, refused or wait for `decide`. It is not Postern: it has no policy
 * document, no client certificates, no DPoP, no log, and forgets everything when it closes.
 */
export async function startLocalPostern({
  scopes: known,
  lifetimeSeconds = 300,
  intervalSeconds = 1,
}: LocalPosternOptions): Promise<LocalPostern> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: randomUUID(), alg: 'ES256', use: 'sig' };
  const secret = randomUUID();
  const approvals = new Map<string, LocalApproval>();
  const exchanges: { sub: string; audience: string | undefined; scopes: string[] }[] = [];

  const sign = (claims: JWTPayload, seconds: number) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: jwk.kid, typ: 'at+jwt' })
      .setIssuer(issuer)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
      .sign(privateKey);

  async function exchange(form: URLSearchParams): Promise<Answer> {
    const refuse = (status: number, error: string, description: string, more = {}): Answer => ({
      status,
      body: { error, error_description: description, ...more },
    });
    if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:token-exchange') {
      return refuse(400, 'unsupported_grant_type', 'Only token exchange is offered here');
    }
    const subject = await jwtVerify(form.get('subject_token') ?? '', publicKey, { issuer }).catch(() => null);
    if (!subject) return refuse(400, 'invalid_request', 'The subject token is not accepted');
    const sub = String(subject.payload.sub);
    const asked = [...new Set((form.get('scope') ?? '').split(' ').filter(Boolean))].toSorted();
    const audience = form.get('audience') ?? undefined;
    if (asked.length === 0) return refuse(400, 'invalid_scope', 'Name the scopes that are needed');
    if (asked.some((scope) => known[scope] === undefined))
      return refuse(400, 'invalid_scope', 'There is no such scope');
    if (audience !== undefined && asked.some((scope) => known[scope]?.audience !== audience)) {
      return refuse(400, 'invalid_target', 'The audience does not take that scope');
    }
    if (asked.some((scope) => known[scope]?.decision === 'deny')) {
      return refuse(403, 'insufficient_scope', 'The scope is not given out');
    }
    if (asked.some((scope) => known[scope]?.decision === 'approve')) {
      const key = JSON.stringify([sub, audience ?? null, asked]);
      const approval = approvals.get(key) ?? {
        id: randomUUID(),
        sub,
        audience,
        scopes: asked,
        state: 'pending' as const,
      };
      approvals.set(key, approval);
      const waiting = { approval_id: approval.id, interval: intervalSeconds, expires_in: 86_400 };
      if (approval.state === 'pending')
        return refuse(400, 'authorization_pending', 'A person has to approve this', waiting);
      // Either verdict is good once.
      approvals.delete(key);
      if (approval.state === 'denied') return refuse(403, 'access_denied', 'The request was denied');
    }
    exchanges.push({ sub, audience, scopes: asked });
    const aud = audience ?? [...new Set(asked.map((scope) => known[scope]!.audience))];
    const token = await sign({ sub, aud, scope: asked.join(' '), act: { sub: CLIENT_ID } }, lifetimeSeconds);
    const type = 'urn:ietf:params:oauth:token-type:access_token';
    return {
      status: 200,
      body: {
        access_token: token,
        issued_token_type: type,
        token_type: 'Bearer',
        expires_in: lifetimeSeconds,
        scope: asked.join(' '),
      },
    };
  }

  async function answer(request: IncomingMessage): Promise<Answer> {
    const { method, url: path } = request;
    if (method === 'GET' && path === `${protocol}/certs`) return { status: 200, body: { keys: [jwk] } };
    if (method !== 'POST' || path !== `${protocol}/token`) return { status: 404, body: {} };
    if (!isOurClient(request.headers.authorization, secret)) {
      return { status: 401, body: { error: 'invalid_client', error_description: 'The client is not authenticated' } };
    }
    return exchange(new URLSearchParams(await textOf(request)));
  }

  const protocol = `/realms/${REALM}/protocol/openid-connect`;
  const server = createServer((request, response: ServerResponse) => {
    answer(request)
      .catch((): Answer => ({ status: 400, body: { error: 'invalid_request' } }))
      .then(({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
        response.end(JSON.stringify(body));
      })
      .catch(() => response.destroy());
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issuer = `${url}/realms/${REALM}`;

  return {
    issuer,
    env: Object.freeze({
      KEYCLOAK_SERVER_URL: url,
      KEYCLOAK_REALM: REALM,
      KEYCLOAK_CLIENT_ID: CLIENT_ID,
      KEYCLOAK_CLIENT_SECRET: secret,
    }),
    subjectToken: ({ sub, scopes = [], audience = CLIENT_ID, lifetimeSeconds: seconds = 3_600 }) =>
      sign({ sub, aud: audience, scope: scopes.join(' ') }, seconds),
    async verify(authorization, audience) {
      const token = /^Bearer ([\w.-]+)$/.exec(authorization ?? '')?.[1] ?? '';
      return (await jwtVerify(token, publicKey, { issuer, audience })).payload;
    },
    exchanges,
    approvals: () => [...approvals.values()],
    decide(id, verdict) {
      const approval = [...approvals.values()].find((one) => one.id === id);
      if (!approval) throw new RangeError('no such approval');
      approval.state = verdict;
    },
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

type Answer = { status: number; body: object };

function isOurClient(authorization: string | undefined, secret: string): boolean {
  const wanted = Buffer.from(`Basic ${Buffer.from(`${CLIENT_ID}:${secret}`).toString('base64')}`);
  const given = Buffer.from(authorization ?? '');
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > LONGEST_FORM) throw new RangeError('the form is too long');
  }
  return text;
}
