import { leaksOf, newCanary } from '@postern/testing';
import { setTimeout as delay } from 'node:timers/promises';
import { type Case, type Findings } from '../assess.ts';
import { databaseDump, redisDump } from './dumps.ts';
import { usesOfAnswers, usesOfEveryRoute, type RouteUse } from './every-route.ts';
import { openStoreWorld, type Client, type Replica, type StoreWorld } from './store-world.ts';
import { openTraceCollector } from './traces.ts';

const tracing = new URL('../../../../libs/runtime/src/otel.ts', import.meta.url).href;
const SCOPES = [
  'records:read records:write records:audit transit:encrypt transit:decrypt transit:rewrap',
  'data-keys:create data-keys:decrypt mac:compute mac:verify',
].flatMap((scopes) => scopes.split(' '));
/** Routes that take no value of a caller: states of keys, and the jobs over them. */
const TAKES_NOTHING = /^\/v1\/(keys|key-destructions?|jobs)(\/|$)/;
/** Traces and jobs leave in the background. */
const ARRIVE_WITHIN_MS = 120_000;

type Sent = { what: string; status: number; text: string };

/** Canaries go through every route, in success and in every error, with debug logging and tracing on. */
export const leakage: Case = {
  name: 'crypto-store/leakage',
  guarantee: 'no key, payload, plaintext or token stands in a log, trace, metric, problem, job, cache entry or row',
  async run({ say }) {
    const [world, traces] = await Promise.all([openStoreWorld(), openTraceCollector()]);
    try {
      const replica = await world.replica(
        { OTEL_EXPORTER_OTLP_ENDPOINT: traces.endpoint, OTEL_BSP_SCHEDULE_DELAY: '200' },
        ['--import', tracing],
      );
      const client = await replica.clientOf('job', SCOPES);
      const canaries = { inKey: newCanary(), inPayload: newCanary(), inError: newCanary() };
      const { sent, wrong } = await throughEveryRoute(world, replica, client, canaries);
      await arrived(world, () => traces.requests() > 0);

      const problems = sent.filter(({ status }) => status >= 400).map(({ what, text }) => [`problem of ${what}`, text]);
      const places = new Map<string, string>([
        ...(problems as [string, string][]),
        ['log', await replica.log()],
        ['traces', traces.text()],
        ['metrics', await (await fetch(`${replica.management}/metrics`)).text()],
        ...(await redisDump(world)),
        ...(await databaseDump(world)),
      ]);
      const found = [...places].flatMap(([place, text]) =>
        Object.values(canaries).flatMap((canary) => leaksOf(canary, place, text)),
      );
      const blind = blindSpots(places);
      say(
        `${sent.length} requests, of them ${problems.length} refused; ${places.size} places looked at: ${found.length} found`,
      );
      return { tried: sent.length, failed: [...wrong, ...blind, ...found], lost: [] } satisfies Findings;
    } finally {
      await world.close();
      await traces.close();
    }
  },
};

/** What must be there to be looked at, or the search showed nothing. */
function blindSpots(places: ReadonlyMap<string, string>): string[] {
  const has = (place: (name: string) => boolean, text: string) =>
    [...places].some(([name, held]) => place(name) && held.includes(text));
  return [
    ...(has((name) => name === 'log', 'POST /store') ? [] : ['the log has no line of a request']),
    ...(has((name) => name === 'traces', '/v1/records/:key') ? [] : ['the traces have no span of a route']),
    ...(has((name) => name === 'metrics', '/v1/records/:key') ? [] : ['the metrics have no route']),
    ...(has((name) => name.startsWith('bus '), 'audit') ? [] : ['the bus has no job']),
    ...(has((name) => name.startsWith('cache '), 'crypto-store:record:') ? [] : ['the cache has no entry']),
    ...(has((name) => name.startsWith('table public.records'), 'job') ? [] : ['the database has no record']),
  ];
}

type Canaries = { inKey: string; inPayload: string; inError: string };

async function throughEveryRoute(world: StoreWorld, replica: Replica, client: Client, canaries: Canaries) {
  const sent: Sent[] = [];
  const wrong: string[] = [];
  const visited = new Set<string>();
  const send = async (what: string, use: RouteUse, token: string | null = client.token): Promise<Sent> => {
    const [method = 'GET'] = use.route.split(' ');
    const isPlain = typeof use.body === 'string' || Buffer.isBuffer(use.body);
    const type = use.type ?? (use.body === undefined ? undefined : 'application/json');
    const answer = await client.postern.fetch(`${replica.url}${use.path}`, {
      method: method as 'GET',
      headers: { ...(type === undefined ? {} : { 'content-type': type }), ...use.headers },
      ...(token === null ? {} : { token }),
      ...(use.body === undefined ? {} : { body: isPlain ? (use.body as string) : JSON.stringify(use.body) }),
    });
    const one = { what: `${use.route}, ${what}`, status: answer.status, text: answer.body };
    sent.push(one);
    return one;
  };
  const succeed = async (use: RouteUse): Promise<Record<string, unknown>> => {
    visited.add(use.route);
    const { status, text } = await send('as it should be', use);
    if (status !== (use.status ?? 200)) wrong.push(`${use.route} answered ${status}`);
    return text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {};
  };

  const uses = usesOfEveryRoute(canaries);
  let ciphertext = '';
  let wrapped = '';
  for (const use of uses) {
    const body = await succeed(use);
    if (use.route === 'POST /v1/encrypt') ciphertext = String(body['ciphertext']);
    if (use.route === 'POST /v1/data-keys') wrapped = String((body['dataKeys'] as { wrapped: string }[])[0]?.wrapped);
  }
  const later = usesOfAnswers({ ciphertext, wrapped });
  for (const use of later) await succeed(use);

  const poor = (await replica.clientOf('job', [])).token;
  for (const use of [...uses, ...later]) {
    for (const [what, { token = client.token, ...changed }] of errorsOf(use, canaries.inError, poor)) {
      const { status } = await send(what, { ...use, ...changed }, token);
      if (status < 400) wrong.push(`${use.route}, ${what}, answered ${status}`);
      if (status >= 500) wrong.push(`${use.route}, ${what}, answered ${status}`);
    }
  }

  // What Postgres refuses is an error that nobody foresaw; what it says of it quotes rows.
  const sql = (text: string) => world.postgres.asAdmin((admin) => admin.query(text), world.database.name);
  await sql('revoke insert on record_versions from crypto_store');
  for (const use of uses.filter(({ route }) => /^(PUT|POST \/store)/.test(route)))
    await send('while Postgres refuses', use);
  await sql('grant insert on record_versions to crypto_store');

  const document = (await (await fetch(`${replica.management}/openapi.json`)).json()) as {
    paths: Record<string, object>;
  };
  for (const [path, methods] of Object.entries(document.paths))
    for (const method of Object.keys(methods)) {
      const route = `${method.toUpperCase()} ${path}`;
      if (!visited.has(route) && !TAKES_NOTHING.test(path))
        wrong.push(`${route} was not tried: add it to every-route.ts`);
    }
  return { sent, wrong };
}

type Change = Partial<RouteUse> & { token?: string | null };

/** The same request with something wrong about it, and the canary in what is wrong. */
function errorsOf(use: RouteUse, canary: string, poor: string): [string, Change][] {
  const more = use.path.includes('?') ? '&' : '?';
  const headers = { ...use.headers };
  const isJson = use.body !== undefined && use.type === undefined;
  return [
    ['no token', { token: null }],
    ['a token that is none', { token: canary }],
    ['a token without scopes', { token: poor }],
    ['an unknown parameter', { path: `${use.path}${more}unknown=${canary}` }],
    ...(use.body === undefined
      ? []
      : ([
          ['another type', { type: 'image/png', body: canary }],
          ['another coding', { headers: { ...headers, 'content-encoding': 'gzip' } }],
        ] as [string, Change][])),
    ...(isJson
      ? ([
          ['malformed JSON', { body: `{"${canary}":${canary}` }],
          ['an unknown field', { body: { ...(use.body as object), unknown: canary } }],
          ['a list', { body: [canary] }],
          [
            'a text where there is none',
            { body: { key: { [canary]: canary }, payload: 7, name: canary, plaintext: `${canary}!` } },
          ],
        ] as [string, Change][])
      : []),
    ...(use.route.includes('/v1/records/{key}') && !use.route.endsWith('/versions')
      ? ([['a condition that is none', { headers: { ...headers, 'if-match': canary } }]] as [string, Change][])
      : []),
    ...(use.route.startsWith('PUT')
      ? ([
          ['metadata that is none', { headers: { ...headers, 'postern-metadata': `{"${canary}` } }],
          ['a condition that fails', { headers: { ...headers, 'if-match': `"${canary}"` } }],
          ['a key of idempotency that is none', { headers: { ...headers, 'idempotency-key': `${canary} ${canary}` } }],
          ['text that is none', { type: 'text/plain', body: Buffer.concat([Buffer.from(canary), Buffer.from([255])]) }],
        ] as [string, Change][])
      : []),
    ['a path that is none', { path: `/${canary}` }],
    ['a path that breaks off', { path: `/v1/records/${canary}%` }],
  ];
}

async function arrived(world: StoreWorld, traced: () => boolean): Promise<void> {
  const until = performance.now() + ARRIVE_WITHIN_MS;
  while (performance.now() < until) {
    const jobs = await world.redis.bus.asAdmin((client) => client.keys('*audit*'));
    if (jobs.length > 0 && traced()) break;
    await delay(200);
  }
  // The last spans and events come a moment after the first.
  await delay(1_500);
}
