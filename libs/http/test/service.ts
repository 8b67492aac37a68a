import { jobMigrations } from '@postern/bus';
import { openAudit, outboxMigrations, type Audit } from '@postern/outbox';
import { createTokenVerifier, fetchJwksOver } from '@postern/oidc';
import { migrate, openPostgres, type Postgres } from '@postern/postgres';
import { profileNamed } from '@postern/profile';
import { closeInReverse, createLogger, problem, type Now } from '@postern/runtime';
import {
  developmentCa,
  DEVELOPMENT_TRUST_DOMAIN,
  fixedTls,
  postgresForTests,
  spiffeIdOf,
  testIssuer,
  WORKLOADS,
  type MintOptions,
  type TestIssuer,
} from '@postern/testing';
import { Agent, type Dispatcher } from 'undici';
import { z } from 'zod';
import {
  content,
  createHttpApp,
  group,
  listen,
  noContent,
  open,
  route,
  type App,
  type AppSpec,
  type Listening,
  type ListenOptions,
  type Route,
} from '../src/index.ts';

export const SERVICE = 'crypto-store';

export type Row = { id: string; version: number; body: string };
export type TestService = {
  app: App;
  urls: Listening['urls'];
  audit: Audit;
  postgres: Postgres<unknown>;
  issuer: TestIssuer;
  /** Lines that were logged. */
  log: string[];
  agentOf(workload: string): Promise<Dispatcher>;
  anonymous: Dispatcher;
  jobLeaf: { cert: string; key: string; ca: string };
  mint(options: Partial<MintOptions>): Promise<string>;
  events(): Promise<Record<string, unknown>[]>;
  stopListening(): Promise<void>;
  close(): Promise<void>;
  /** What the handlers under test look at. */
  hooks: Hooks;
};

/** Lets a spec step between a read and its commit, or keep a request under way. */
export type Hooks = { beforeRelease?: () => Promise<void>; during?: () => Promise<void> };

const name = z.string().max(100).describe('What it is called');
const thing = z.strictObject({ id: z.uuid(), body: name, version: z.int().describe('Counts its writes') });

function routesOf(postgres: Postgres<unknown>, hooks: Hooks) {
  const row = async (id: string) => {
    const [found] = await postgres.query<Row>('select id, version::int as version, body from things where id = $1', [
      id,
    ]);
    if (!found) throw problem('thing_not_found');
    return found;
  };
  const address = { params: z.strictObject({ id: z.uuid() }) };
  return [
    route({
      method: 'GET',
      path: '/things/:id',
      summary: 'GET /things/:id',
      listener: 'api',
      scope: 'records:read',
      audit: 'record.read',
      ...address,
      answers: { 200: thing },
      problems: ['thing_not_found'],
      async handle({ params }, audit) {
        const found = await row(params.id);
        await hooks.beforeRelease?.();
        const guard = { name: 'thing-live', k1: params.id, n: found.version };
        return audit.released({ resource: { type: 'thing', id: params.id }, guard }, { status: 200, body: found });
      },
    }),
    route({
      method: 'POST',
      path: '/things',
      summary: 'POST /things',
      listener: 'api',
      scope: 'records:write',
      audit: 'record.written',
      body: z.strictObject({
        body: name,
        nested: z.array(z.strictObject({ a: z.int().describe('Any number') })).optional(),
      }),
      answers: { 201: thing },
      idempotency: 'accepted',
      handle: ({ body, idempotency }, audit) =>
        postgres.db.transaction().execute(async (tx) => {
          const id = idempotency ? uuidFrom(idempotency.key) : crypto.randomUUID();
          const { rows } = await insertThing(tx, id, body.body);
          const [created] = rows;
          if (!created) throw new Error('the insert returned nothing');
          return audit.within(
            tx,
            { resource: { type: 'thing', id }, details: { bytes: body.body.length } },
            { status: 201, body: created },
          );
        }),
    }),
    route({
      method: 'DELETE',
      path: '/things/:id',
      summary: 'DELETE /things/:id',
      listener: 'api',
      scope: 'records:write',
      role: 'admin',
      audit: 'record.deleted',
      ...address,
      answers: { 204: noContent },
      handle: ({ params }, audit) =>
        audit.effect({ resource: { type: 'thing', id: params.id } }, async () => {
          await row(params.id);
          await postgres.query('delete from things where id = $1', [params.id]);
          return { what: {}, answer: { status: 204 } };
        }),
    }),
    route({
      method: 'POST',
      path: '/internal/ping',
      summary: 'POST /internal/ping',
      listener: 'api',
      access: 'workload',
      workloads: ['job'],
      audit: 'record.listed',
      answers: { 200: z.strictObject({ workload: z.string().describe('Who asked') }) },
      async handle({ workload }, audit) {
        await hooks.during?.();
        return audit.released({ details: { count: 0 } }, { status: 200, body: { workload } });
      },
    }),
    route({
      method: 'POST',
      path: '/token',
      summary: 'POST /token',
      listener: ['public', 'api'],
      access: 'anyone',
      audit: 'token.revoked',
      consumes: 'form',
      errors: 'oauth',
      tier: 'sensitive',
      body: z.strictObject({
        token: z.string().max(100).describe('What is revoked'),
        audience: z.union([name, z.array(name).max(8)]).optional(),
      }),
      answers: { 200: z.strictObject({ revoked: z.boolean().describe('Whether it lived') }) },
      problems: ['invalid_grant'],
      async handle({ body }, audit) {
        if (body.token === 'bad') throw problem('invalid_grant');
        return audit.released({ details: { tokens: 1, tokenId: 'x' } }, { status: 200, body: { revoked: true } });
      },
    }),
    route({
      method: 'GET',
      path: '/page',
      summary: 'GET /page',
      listener: 'public',
      access: 'anyone',
      audit: 'login.succeeded',
      query: z.strictObject({ to: z.string().max(10).optional().describe('Where to go on') }),
      answers: { 200: 'html', 303: 'redirect' },
      handle: ({ query }, audit) =>
        query.to === undefined
          ? audit.page({ details: { method: 'test' } }, { html: '<p>hello</p>' })
          : audit.redirect(
              { details: { method: 'test' } },
              { to: '/elsewhere', cookies: ['__Host-s=1; Secure; Path=/'] },
            ),
    }),
    route({
      method: 'PUT',
      path: '/blobs/:id',
      summary: 'PUT /blobs/:id',
      listener: 'api',
      scope: 'records:write',
      audit: 'record.written',
      ...address,
      consumes: 'bytes',
      bodyLimit: 1000,
      body: content,
      idempotency: 'accepted',
      answers: { 200: 'bytes' },
      handle: ({ body, idempotency }, audit) =>
        audit.bytes(
          { details: { bytes: body.bytes.length } },
          { bytes: body.bytes, contentType: body.type, headers: { 'request-hash': idempotency?.request ?? 'none' } },
        ),
    }),
    route({
      method: 'HEAD',
      path: '/blobs/:id',
      summary: 'HEAD /blobs/:id',
      listener: 'api',
      scope: 'records:read',
      audit: 'record.read',
      ...address,
      answers: { 200: noContent },
      handle: (_, audit) => audit.released({}, { status: 200, headers: { 'content-length': '7' } }),
    }),
    route({
      method: 'POST',
      path: '/many',
      summary: 'POST /many',
      listener: 'api',
      scope: 'records:read',
      audit: 'record.listed',
      body: z.strictObject({ ids: z.array(z.uuid()).max(10) }),
      answers: { 200: z.strictObject({ fresh: z.array(z.boolean()).describe('For each, whether it was as read') }) },
      async handle({ body: { ids } }, audit) {
        const read = (id: string) =>
          audit.item({
            action: 'record.read',
            resource: { type: 'thing', id },
            details: {},
            guard: { name: 'thing-live', k1: id, n: 1 },
          });
        const fresh = await Promise.all(ids.map(read));
        return audit.released({ details: { count: ids.length } }, { status: 200, body: { fresh } });
      },
    }),
    route({
      method: 'GET',
      path: '/stream',
      summary: 'GET /stream',
      listener: 'api',
      scope: 'records:read',
      audit: 'record.listed',
      answers: { 200: 'stream' },
      handle: (_, audit) =>
        audit.stream({ details: { count: 2 } }, { source: chunks(), contentType: 'application/x-ndjson' }),
    }),
    route({
      method: 'GET',
      path: '/broken/:how',
      summary: 'GET /broken/:how',
      listener: 'api',
      scope: 'records:read',
      audit: 'record.read',
      params: z.strictObject({ how: z.enum(['throws', 'leaks', 'open']) }),
      answers: { 200: z.strictObject({ ok: z.boolean().describe('Always true') }) },
      async handle({ params }, audit) {
        if (params.how === 'throws') throw new Error('canary-of-an-error', { cause: new Error('canary-of-a-cause') });
        if (params.how === 'open') return open({ status: 200, body: { ok: true } }) as never;
        return audit.released({}, { status: 200, body: { ok: true, secret: 'canary-of-a-column' } as { ok: boolean } });
      },
    }),
  ];
}

async function* chunks() {
  yield '{"a":1}\n';
  yield '{"a":2}\n';
}

const uuidFrom = (key: string) => {
  const hex = Buffer.from(key, 'base64url').toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
};

type Tx = Parameters<Parameters<ReturnType<Postgres<unknown>['db']['transaction']>['execute']>[0]>[0];
const insertThing = async (tx: Tx, id: string, body: string) => {
  const { CompiledQuery } = await import('kysely');
  return tx.executeQuery<Row>(
    CompiledQuery.raw(
      'insert into things (id, version, body) values ($1, 1, $2) on conflict (id) do update set body = things.body returning id, version::int as version, body',
      [id, body],
    ),
  );
};

/** A whole service over real Postgres, outbox, verifier and certificates. */
export async function testService(
  options: {
    listen?: Partial<ListenOptions>;
    spec?: Partial<AppSpec>;
    now?: Now;
    /** Further routes over the service's database. */
    routes?: (postgres: Postgres<unknown>) => Route[];
  } = {},
): Promise<TestService> {
  const closing = closeInReverse();
  const server = closing.after(await postgresForTests());
  const database = await server.createDatabase({ service: SERVICE });
  closing.add(() => database.drop());
  const things = {
    set: 'things',
    steps: { '0001-things': 'create table things (id uuid primary key, version bigint not null, body text not null)' },
  };
  await migrate({
    url: database.ownerUrl,
    tls: database.tls,
    sets: [outboxMigrations, jobMigrations, things],
    serviceRole: 'crypto_store',
  });
  const postgres = closing.after(
    await openPostgres({ url: database.url, tls: database.tls, applicationName: 'http test' }),
  );
  const log: string[] = [];
  const logger = createLogger({
    service: SERVICE,
    level: 'debug',
    destination: { write: (line: string) => void log.push(line) },
  });
  const guards = { 'thing-live': 'exists (select 1 from things t where t.id = e.k1::uuid and t.version = e.n)' };
  const audit = closing.after(await openAudit({ postgres, producer: SERVICE, guards, logger }));
  const issuer = closing.after(await testIssuer({ kinds: ['postern-access', 'grant'] }));
  const authority = developmentCa();
  const leaf = await authority.issue(SERVICE);
  const anonymous = closing.after(new Agent({ connect: { ca: leaf.ca } }));
  const profile = profileNamed('fedramp-moderate');
  const verifier = closing.after(
    createTokenVerifier({
      issuers: [issuer.entry],
      audience: SERVICE,
      kinds: ['postern-access'],
      profile,
      fetchJwks: fetchJwksOver(anonymous),
    }),
  );
  const hooks: Hooks = {};
  const workloads = {
    trustDomain: DEVELOPMENT_TRUST_DOMAIN,
    workloads: WORKLOADS.filter((one) => one !== 'redis-bus').map((one) => ({ name: one, spiffeId: spiffeIdOf(one) })),
  };
  const app = createHttpApp({
    service: SERVICE,
    routes: group('Things', 'What there is', [...routesOf(postgres, hooks), ...(options.routes?.(postgres) ?? [])]),
    problems: {
      thing_not_found: { status: 404, title: 'There is no such thing' },
      invalid_grant: { status: 400, title: 'The grant is not accepted', oauth: 'invalid_grant' },
    },
    verifier,
    audit,
    workloads,
    profile,
    ready: [
      { name: 'postgres', check: postgres.check },
      { name: 'audit', check: audit.check },
    ],
    logger,
    ...options.spec,
  });
  const config = {
    host: '127.0.0.1',
    apiPort: 0,
    publicPort: 0,
    managementHost: '127.0.0.1',
    managementPort: 0,
    internalNetwork: false,
  };
  const listening = await listen(app, {
    tls: fixedTls(leaf),
    config,
    drain: { graceMs: 50, deadlineMs: 5_000 },
    ...options.listen,
  });
  const stopListening = () => listening.close();
  closing.add(stopListening);
  const leaves = new Map<string, ReturnType<typeof authority.issue>>();
  const leafOf = (workload: string) => {
    const issued = leaves.get(workload) ?? authority.issue(workload);
    leaves.set(workload, issued);
    return issued;
  };
  const job = await leafOf('job');

  return {
    app,
    urls: listening.urls,
    audit,
    postgres,
    issuer,
    log,
    hooks,
    anonymous,
    jobLeaf: job,
    async agentOf(workload) {
      const { cert, key, ca } = await leafOf(workload);
      return closing.after(new Agent({ connect: { cert, key, ca } }));
    },
    mint: (wanted) => issuer.mint({ audience: SERVICE, boundTo: job.thumbprint, ...wanted }),
    async events() {
      const rows = await postgres.query<{ canonical: Buffer }>('select canonical from audit_outbox order by id');
      return rows.map(({ canonical }) => JSON.parse(canonical.toString('utf8')) as Record<string, unknown>);
    },
    stopListening,
    close: closing.close,
  };
}
