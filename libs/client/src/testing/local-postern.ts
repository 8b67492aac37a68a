import { randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, jwtVerify, SignJWT, type JWTPayload } from 'jose';
import {
  createLocalExchange,
  GRANT,
  refusal,
  type Answer,
  type LocalApproval,
  type LocalExchange,
  type LocalRefusal,
} from './local-exchange.ts';
import { policyRules } from './local-policy.ts';
import type { LocalRules } from './local-rules.ts';
import { scopeTable, type ScopeTable } from './scope-table.ts';

type Common = {
  /** Seconds between two polls of an approval; 1 unless given. */
  intervalSeconds?: number;
};

export type LocalPosternOptions = Common &
  (
    | {
        /** Every scope there is, with the audience that takes it. */
        scopes: ScopeTable;
        /** Seconds that a token lives; 300 unless given. */
        lifetimeSeconds?: number;
      }
    | {
        /** A policy document as token-exchange reads it, parsed: what it refuses is refused here. */
        policy: object;
        /** The workload of it that `env` is for, the one under test. */
        workload: string;
      }
  );

export type LocalSubject = {
  /** A person; absent: the client speaks for itself. */
  sub?: string;
  scopes?: readonly string[];
  audience?: string;
  lifetimeSeconds?: number;
  /** The rest is what a policy asks for. The client that the token was issued to; that of `env` unless given. */
  client?: string;
  /** The first active tenant of the policy unless given. */
  tenant?: string;
  roles?: readonly string[];
  /** How strongly the person logged in (`acr`), and how many seconds ago. */
  acr?: string;
  loggedInSecondsAgo?: number;
  /** A token of a grant of auth-manager: its `scopes` are the most that comes of it. */
  grant?: boolean;
};

export type LocalPostern = {
  /** `iss` of everything that is signed here. */
  issuer: string;
  /** For `fromEnvironment({ env })`. */
  env: Readonly<Record<string, string>>;
  /** The same for another client: one that a token is passed on to. @throws RangeError for one that nobody knows */
  envOf(client: string): Readonly<Record<string, string>>;
  /** A token that says for whom, without scopes unless given. */
  subjectToken(who: LocalSubject): Promise<string>;
  /**
   * For a server under test: the claims of the token in an `Authorization` header. @throws Error where it is none of ours, over, or for another
   * audience
   */
  verify(authorization: string | undefined, audience: string): Promise<JWTPayload>;
  /** Exchanges that gave a token, oldest first. */
  exchanges: readonly LocalExchange[];
  /** Exchanges that were refused, oldest first, with the rule that decided: what is missing in the policy. */
  refusals: readonly LocalRefusal[];
  approvals(): LocalApproval[];
  decide(id: string, verdict: 'approved' | 'denied'): void;
  close(): Promise<void>;
};

const REALM = 'local';
const LONGEST_FORM = 65_536;

/**
 * A local Postern for callers' own tests, in their process: the exchange's real protocol (RFC 8693 over HTTP on loopback, HTTP Basic, its own JWKS), tokens
 * really signed (ES256) and subject tokens really verified. A policy document, or a table of scopes, says what is given, refused or waits for `decide`. It
 * is not Postern: no client certificates, no DPoP, no log, no revocation, and it forgets everything when it closes.
 * @throws ZodError for a policy that is not one; RangeError for a workload that it does not name
 */
export async function startLocalPostern(options: LocalPosternOptions): Promise<LocalPostern> {
  const { intervalSeconds = 1 } = options;
  const now = () => new Date();
  const rules =
    'policy' in options
      ? policyRules(options.policy, options.workload, () => issuer, now)
      : scopeTable(options.scopes, options.lifetimeSeconds ?? 300);
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: randomUUID(), alg: 'ES256', use: 'sig' };
  const secrets = new Map(rules.clients.map((client) => [client, randomUUID()]));
  const approvals = new Map<string, LocalApproval>();
  const exchanges: LocalExchange[] = [];
  const refusals: LocalRefusal[] = [];

  const verify = (token: string) => jwtVerify(token, publicKey, { issuer }).catch(() => null);
  const sign = (claims: JWTPayload, seconds: number, typ = 'at+jwt') =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: jwk.kid, typ })
      .setIssuer(issuer)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime(Math.floor(now().getTime() / 1000) + seconds)
      .sign(privateKey);

  const exchange = createLocalExchange({ rules, verify, sign, intervalSeconds, approvals, exchanges, refusals });

  async function answer(request: IncomingMessage): Promise<Answer> {
    const { method, url: path } = request;
    if (method === 'GET' && path === `${protocol}/certs`) return { status: 200, body: { keys: [jwk] } };
    if (method !== 'POST' || path !== `${protocol}/token`) return { status: 404, body: {} };
    const client = clientIn(request.headers.authorization, secrets);
    if (client === undefined) return refusal(401, 'invalid_client', 'The client is not authenticated');
    return exchange(client, new URLSearchParams(await textOf(request)));
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
  const envOf = (client: string) => {
    const secret = secrets.get(client);
    if (secret === undefined) throw new RangeError(`there is no client ${client}`);
    return Object.freeze({
      KEYCLOAK_SERVER_URL: url,
      KEYCLOAK_REALM: REALM,
      KEYCLOAK_CLIENT_ID: client,
      KEYCLOAK_CLIENT_SECRET: secret,
    });
  };

  return {
    issuer,
    env: envOf(rules.usual.client),
    envOf,
    subjectToken: ({ lifetimeSeconds: seconds = 3_600, ...who }) =>
      sign(subjectClaims({ ...rules.usual, ...who }, now()), seconds, who.grant ? GRANT : 'at+jwt'),
    async verify(authorization, audience) {
      const token = /^Bearer ([\w.-]+)$/.exec(authorization ?? '')?.[1] ?? '';
      return (await jwtVerify(token, publicKey, { issuer, audience })).payload;
    },
    exchanges,
    refusals,
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

function subjectClaims(who: LocalSubject & LocalRules['usual'], now: Date): JWTPayload {
  const { sub, client, audience, tenant, roles, scopes = [], acr, loggedInSecondsAgo: ago } = who;
  return {
    sub: sub ?? client,
    azp: client,
    aud: audience,
    scope: scopes.join(' '),
    ...(tenant !== undefined && { tenant }),
    ...(roles && { roles: [...roles] }),
    ...(acr !== undefined && { acr }),
    ...(ago !== undefined && { auth_time: Math.floor(now.getTime() / 1000) - ago }),
    ...(who.grant && { grant_id: randomUUID() }),
  };
}

/** The client whose identifier and secret these are (RFC 6749 section 2.3.1). */
function clientIn(authorization = '', secrets: ReadonlyMap<string, string>): string | undefined {
  const given = Buffer.from(authorization);
  return [...secrets].find(([client, secret]) => {
    const wanted = Buffer.from(`Basic ${Buffer.from(`${encodeURIComponent(client)}:${secret}`).toString('base64')}`);
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  })?.[0];
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > LONGEST_FORM) throw new RangeError('the form is too long');
  }
  return text;
}
