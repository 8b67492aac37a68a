import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalRootKeyFile } from '@postern/branch-keys';
import { listen } from '@postern/http';
import { openAgent, watchTlsMaterial, type MtlsAgent } from '@postern/mtls';
import type { IssuerEntry } from '@postern/oidc';
import { policyDocument, type PolicyDocument } from '@postern/policy';
import { migrate } from '@postern/postgres';
import { createLogger } from '@postern/runtime';
import {
  DEVELOPMENT_TRUST_DOMAIN,
  freePort,
  postgresForTests,
  spiffeIdOf,
  testIssuer,
  WORKLOADS,
} from '@postern/testing';
import type { JWK } from 'jose';
import { request } from 'undici';
import { compose, type Service } from '../src/compose.ts';
import { readConfig } from '../src/config.ts';
import { migrationSets } from '../src/db/migration-sets.ts';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

export type Reply = {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Record<string, unknown>;
  text: string;
};

export type CallOptions = {
  method?: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  headers?: Record<string, string>;
  body?: string;
};

/** A workload with its certificate. */
export type Caller = {
  workload: string;
  thumbprint: string;
  agent: MtlsAgent;
  /** Sends a form as it stands: for requests that are wrong. */
  post(form: Record<string, string> | string, path?: string): Promise<Reply>;
  call(path: string, options?: CallOptions): Promise<Reply>;
  exchange(subjectToken: string, audience: string, scope: string, more?: Record<string, string>): Promise<Reply>;
};

/** The token of an answer that has one; what it said otherwise is the error. */
export const tokenOf = ({ status, body, text }: Reply): string => {
  if (status !== 200) throw new Error(`${status} ${text}`);
  return String(body['access_token']);
};
/** What that caller is told of the token (RFC 7662). */
export const isActive = async (by: Caller, token: string) => (await by.post({ token }, '/introspect')).body['active'];
/** Waits for what happens by itself; fails by the test's own time limit. */
export async function until(condition: () => Promise<boolean>) {
  while (!(await condition())) await new Promise((again) => setTimeout(again, 20));
}

export const policy: PolicyDocument = policyDocument.parse(
  JSON.parse(readFileSync(new URL('../../../infra/dev/policy.json', import.meta.url), 'utf8')),
);

/** The service on real Postgres over mTLS, with a realm, auth-manager and key-proxy as issuers. */
export async function openWorld({
  realmEntry,
  grantsEntry,
  clientKeys = {},
  env: overrides = {},
  document: given = policy,
  publicPort: wantedPort,
  idTokens = false,
}: {
  realmEntry?: IssuerEntry;
  /** Of an auth-manager that runs, in the place of the issuer of `grants`. */
  grantsEntry?: IssuerEntry;
  /** Keys of workloads that prove themselves by assertions. */
  clientKeys?: Record<string, JWK[]>;
  env?: Record<string, string>;
  /** The policy of the start. */
  document?: PolicyDocument | ((realmIssuer: string) => PolicyDocument);
  /** Of the public listener, where somebody has to know it before. */
  publicPort?: number;
  /** Whether the realm's ID tokens are subjects. */
  idTokens?: boolean;
} = {}) {
  const [postgres, realm, grants, accounts] = await Promise.all([
    postgresForTests(),
    testIssuer({ kinds: ['provider-access'] }),
    testIssuer({ kinds: ['grant'] }),
    testIssuer({ kinds: ['postern-access'] }),
  ]);
  const database = await postgres.createDatabase({ service: 'token-exchange' });
  const { url, ownerUrl, tls, serviceRole } = database;
  await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole });
  const leaf = await postgres.authority.issue('token-exchange');
  const folder = await mkdtemp(join(tmpdir(), 'token-exchange-'));
  const at = (name: string) => join(folder, name);
  const [publicPort, apiPort] = [wantedPort ?? (await freePort()), await freePort()];
  const issuer = `https://127.0.0.1:${publicPort}`;
  const own: IssuerEntry = {
    issuer,
    jwksUri: `${issuer}/.well-known/jwks.json`,
    kinds: ['postern-access'],
    algorithms: ['ES256'],
    scopeCeiling: 'policy',
    tenant: { claim: 'tenant' },
  };
  const trust = {
    trustDomain: DEVELOPMENT_TRUST_DOMAIN,
    workloads: WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) })),
    issuers: [
      realmEntry ?? { ...realm.entry, kinds: [...realm.entry.kinds, ...(idTokens ? (['id-token'] as const) : [])] },
      grantsEntry ?? grants.entry,
      { ...accounts.entry, tenant: { claim: 'tenant', prefix: 'kp_' } },
      own,
    ],
    revocations: [
      {
        issuer,
        kinds: ['token', 'client', 'subject', 'tenant', 'key'],
        uri: `https://127.0.0.1:${apiPort}/v1/revocations`,
        jwksUri: `${issuer}/.well-known/jwks.json`,
        algorithms: ['ES256'],
      },
    ],
  };
  await createLocalRootKeyFile(at('root.key'));
  await writeFile(at('trust.json'), JSON.stringify(trust));
  const document = typeof given === 'function' ? given(realm.entry.issuer) : given;
  const workloads = document.workloads.map((one) => ({ ...one, clientKeys: clientKeys[one.name] ?? one.clientKeys }));
  await writeFile(at('policy.json'), JSON.stringify({ ...document, workloads }));
  const env = {
    POSTERN_ENVIRONMENT: 'development',
    POSTERN_ROLE: 'api',
    POSTERN_API_PORT: String(apiPort),
    POSTERN_PUBLIC_PORT: String(publicPort),
    POSTERN_MANAGEMENT_PORT: '0',
    POSTERN_PUBLIC_URL: issuer,
    POSTERN_TOKEN_EXCHANGE_URL: `https://127.0.0.1:${apiPort}`,
    POSTERN_TLS_CERT_PATH: leaf.paths.cert,
    POSTERN_TLS_KEY_PATH: leaf.paths.key,
    POSTERN_TLS_CA_PATH: leaf.paths.ca,
    POSTERN_TRUST_PATH: at('trust.json'),
    POSTERN_POLICY_PATH: at('policy.json'),
    POSTERN_POSTGRES_URL: url,
    POSTERN_BUS_URL: 'rediss://token-exchange@127.0.0.1:1',
    POSTERN_BUS_PASSWORD: 'unused',
    POSTERN_BUS_TLS_CERT_PATH: leaf.paths.cert,
    POSTERN_BUS_TLS_KEY_PATH: leaf.paths.key,
    POSTERN_BUS_TLS_CA_PATH: leaf.paths.ca,
    POSTERN_ROOT_KEY: 'local',
    POSTERN_ROOT_KEY_PATH: at('root.key'),
    POSTERN_AUDIT_SINK_URL: 'https://127.0.0.1:1',
    POSTERN_EXCHANGES_PER_MINUTE: '1000000',
    ...overrides,
  };
  const logged: string[] = [];
  let skewMs = 0;
  const config = readConfig(env);
  const logger = createLogger({
    service: 'token-exchange',
    level: 'debug',
    destination: { write: (line: string) => void logged.push(line) },
  });
  const service: Service = await compose(config, { logger, now: () => new Date(Date.now() + skewMs) });
  const listening = await listen(service.app, { tls: service.tls, config: config.base.listen });
  const closes: (() => unknown)[] = [];

  async function call(agent: MtlsAgent, path: string, options: CallOptions = {}): Promise<Reply> {
    const answer = await request(`${listening.urls.api}${path}`, { dispatcher: agent, ...options });
    const text = await answer.body.text();
    const { statusCode: status, headers } = answer;
    return { status, headers, text, body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> };
  }
  const formOf = (form: Record<string, string> | string): CallOptions => ({
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
  });

  async function caller(workload: string): Promise<Caller> {
    const { paths, thumbprint } = await postgres.authority.issue(workload);
    const material = await watchTlsMaterial(paths);
    const agent = openAgent(material, { servername: 'localhost' });
    closes.push(() => agent.close().then(() => material.close()));
    const post = (form: Record<string, string> | string, path = '/token') => call(agent, path, formOf(form));
    return {
      workload,
      thumbprint,
      agent,
      post,
      call: (path, options) => call(agent, path, options),
      exchange: (subjectToken, audience, scope, more = {}) =>
        post({
          grant_type: TOKEN_EXCHANGE,
          subject_token: subjectToken,
          subject_token_type: ACCESS_TOKEN,
          audience,
          scope,
          ...more,
        }),
    };
  }

  /** A grant of the job: where nothing else is said, alice's. */
  const jobGrant = (
    { thumbprint }: Pick<Caller, 'thumbprint'>,
    over: Partial<Parameters<typeof grants.mint>[0]> = {},
  ) =>
    grants.mint({
      kind: 'grant',
      audience: 'token-exchange',
      clientId: 'job',
      actors: ['job'],
      boundTo: thumbprint,
      ...over,
    });

  return {
    postgres,
    database,
    realm,
    jobGrant,
    grants,
    accounts,
    issuer,
    env,
    service,
    urls: listening.urls,
    /** Everything that was logged, with debug logging on. */
    logged,
    caller,
    /** Moves the service's clock. */
    skew: (ms: number) => (skewMs = ms),
    query: <Row>(sql: string, values: unknown[] = []) =>
      postgres.asAdmin(async (client) => (await client.query(sql, values)).rows as Row[], database.name),
    async close() {
      for (const close of closes.toReversed()) await close();
      await listening.close();
      await service.close();
      await Promise.all([realm.close(), grants.close(), accounts.close()]);
      await database.drop();
      await postgres.close();
      await rm(folder, { recursive: true });
    },
  };
}

export type World = Awaited<ReturnType<typeof openWorld>>;
