import { createCallForAnswer, createCallService, createCallStream, originOf } from './call-service.ts';
import { type Approvals, createApprovals } from './approvals.ts';
import { type Audit, createAudit } from './audit.ts';
import { ensureScope } from './ensure-scope.ts';
import { refusal } from './errors.ts';
import { createExchange, type Exchange, type ExchangeRequest } from './exchange.ts';
import { createExchanges, type Exchanges } from './exchanges.ts';
import { type Consents, createConsents } from './consents.ts';
import { createGrantImports, type GrantImports } from './grant-imports.ts';
import { createGrants, type Grants } from './grants.ts';
import { openIdentities } from './identities.ts';
import { createJobs, type Jobs } from './jobs.ts';
import { createLocalEnvelope, type LocalEnvelope } from './local-envelope.ts';
import { createMacs, type Macs } from './macs.ts';
import { type Audience, type CallOptions, type PosternOptions } from './options.ts';
import { createRecords, type Records } from './records.ts';
import { createSecrets, type Secrets } from './secrets.ts';
import { type Answer, type Outgoing, send } from './send.ts';
import { traceHeader } from './traceparent.ts';
import { createSessions, type Sessions } from './sessions.ts';
import { createTransit, type Transit } from './transit.ts';

export type RawRequest = CallOptions & Pick<Outgoing, 'method' | 'headers' | 'token' | 'body'>;

export type Postern = {
  exchange: Exchange;
  /** Runs the work, stepping up to the scopes that the service asks for. */
  ensureScope<T>(asked: ExchangeRequest, work: (token: string) => Promise<T>): Promise<T>;
  records: Records;
  grants: Grants;
  /** Consents under way: to wait for one, or to follow its steps. */
  consents: Consents;
  /** A person's sessions at their providers. */
  sessions: Sessions;
  /** Tokens of an older vault, taken over by auth-manager. */
  grantImports: GrantImports;
  secrets: Secrets;
  /** Bytes that crypto-store seals and opens, and the caller keeps. */
  transit: Transit;
  /** Bytes that this process seals and opens, with data keys of crypto-store. */
  localEnvelope: LocalEnvelope;
  macs: Macs;
  audit: Audit;
  /** What waits for a person at token-exchange. */
  approvals: Approvals;
  /** Where a minted token came from. */
  exchanges: Exchanges;
  /** Background jobs of any service. */
  jobs: Jobs;
  /** Any request over this caller's certificate; the answer is given back whatever its status. */
  fetch(url: string | URL, request: RawRequest): Promise<Answer>;
  /** Closes every connection once its answer is in. */
  close(): Promise<void>;
};

/**
 * A client of Postern's services. It holds one connection pool per peer and certificate, exchanges and keeps tokens, and
 * survives certificate rotation (R12). Make one per process, and close it at the end.
 */
export function createPostern({
  tls,
  urls,
  timeoutMs = 10_000,
  renewBeforeSeconds = 30,
  connections = 16,
  dataKeys: { ttlMs = 300_000, most = 1_000 } = {},
  traceparent,
  now = () => new Date(),
}: PosternOptions): Postern {
  const identities = openIdentities({ tls, connections, now });
  const tokenExchange = originOf('token-exchange', urls.tokenExchange);
  const trace = () => traceHeader(traceparent);
  const exchange = createExchange({ identities, tokenExchange, timeoutMs, renewBeforeSeconds, trace, now });
  const calling = (audience: Audience, url: string | undefined) => ({
    audience,
    origin: originOf(audience, url),
    identities,
    exchange,
    timeoutMs,
    trace,
  });
  const calls = (audience: Audience, url: string | undefined) => createCallService(calling(audience, url));

  const origins: Record<Audience, string | undefined> = {
    'token-exchange': urls.tokenExchange,
    'crypto-store': urls.cryptoStore,
    'auth-manager': urls.authManager,
    'key-proxy': urls.keyProxy,
    'audit-sink': urls.auditSink,
  };

  async function getLogText(path: string, options: CallOptions): Promise<string> {
    const url = new URL(path, originOf('audit-sink', urls.auditSink)());
    const sent = {
      service: 'audit-sink',
      url,
      method: 'GET',
      headers: trace(),
      repeatable: true,
      timeoutMs,
      ...options,
    } as const;
    const { status, headers, body } = await send(identities.current(), sent);
    if (status !== 200) throw refusal('audit-sink', status, headers, undefined);
    return body;
  }

  const authManager = calls('auth-manager', urls.authManager);
  const authManagerStream = createCallStream(calling('auth-manager', urls.authManager));
  const cryptoStore = calls('crypto-store', urls.cryptoStore);
  const localEnvelope = createLocalEnvelope(cryptoStore, { ttlMs, most, now });

  return {
    exchange,
    ensureScope: (asked, work) => ensureScope(exchange, asked, work),
    records: createRecords(createCallForAnswer(calling('crypto-store', urls.cryptoStore))),
    grants: createGrants(authManager),
    consents: createConsents(authManager, authManagerStream),
    sessions: createSessions(authManager),
    grantImports: createGrantImports(authManagerStream),
    secrets: createSecrets(calls('key-proxy', urls.keyProxy)),
    transit: createTransit(cryptoStore, createCallStream(calling('crypto-store', urls.cryptoStore))),
    localEnvelope,
    macs: createMacs(cryptoStore),
    approvals: createApprovals(calls('token-exchange', urls.tokenExchange)),
    exchanges: createExchanges(calls('token-exchange', urls.tokenExchange)),
    jobs: createJobs((audience) => calls(audience, origins[audience])),
    audit: createAudit(calls('audit-sink', urls.auditSink), getLogText),
    async fetch(url, request) {
      const target = new URL(url);
      const identity = request.token === undefined ? identities.current() : identities.forToken(request.token);
      return send(identity, {
        service: target.host,
        timeoutMs,
        ...request,
        headers: { ...trace(), ...request.headers },
        url: target,
        repeatable: request.method === 'GET',
      });
    },
    close() {
      localEnvelope.clear();
      return identities.close();
    },
  };
}
