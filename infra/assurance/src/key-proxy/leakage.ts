import { unpackContent } from '@postern/audit';
import { developmentCa, leaksOf, newCanary } from '@postern/testing';
import { passOnTo, startHttpsFront } from '@postern/testing/https-front';
import { startOpenBao } from '@postern/testing/openbao';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type Case } from '../assess.ts';
import { databaseDump, redisDump } from '../store/dumps.ts';
import { openTraceCollector } from '../store/traces.ts';
import { NEED_OTHERS, useEveryRoute } from './every-route.ts';
import { openKeyProxyWorld, type KeyProxyWorld, type Said } from './key-proxy-world.ts';

const tracing = new URL('../../../../libs/runtime/src/otel.ts', import.meta.url).href;
const SCOPES = ['read', 'write', 'use', 'delete', 'configure', 'audit'].map((verb) => `secrets:${verb}`);
const ALL_SCOPES = [...SCOPES, 'account:manage', 'accounts:manage'];
/** Of the listener for operations, which takes nothing of anybody. */
const OPERATIONS = /^\/(health|version|docs|openapi|metrics)/;
const FORM = 'application/x-www-form-urlencoded';
/** Traces leave in the background. */
const ARRIVE_WITHIN_MS = 120_000;

type Sent = Said & { what: string };

/** Canaries as values, passwords, credentials and tokens through every route, with debug logging and tracing on. */
export const secretLeakage: Case = {
  name: 'key-proxy/leakage',
  guarantee: 'no value, password, credential or token stands in a log, trace, metric, problem, job, cache entry or row',
  async run({ say }) {
    const [bao, spare, traces] = await Promise.all([startOpenBao(), startOpenBao(), openTraceCollector()]);
    const [front, otherFront] = [
      await startHttpsFront(passOnTo(bao.address)),
      await startHttpsFront(passOnTo(spare.address)),
    ];
    const { paths } = await developmentCa().issue('front');
    const at = `127.0.0.1:${front.port}`;
    const world = await openKeyProxyWorld(
      {
        POSTERN_PROFILE: 'fedramp-low',
        // The worker half too: moves run, and events go to the bus.
        POSTERN_ROLE: 'all',
        POSTERN_PROVIDER_HOSTS: `${at},127.0.0.1:${otherFront.port}`,
        POSTERN_PROVIDER_CA_PATH: paths.ca,
        POSTERN_USE_HOSTS: at,
        POSTERN_USE_CA_PATH: paths.ca,
        OTEL_EXPORTER_OTLP_ENDPOINT: traces.endpoint,
        OTEL_BSP_SCHEDULE_DELAY: '200',
      },
      ['--import', tracing],
    );
    try {
      const client = await world.clientOf('portal');
      const canaries = { value: newCanary(), password: newCanary(), inError: newCanary() };
      const tokens: string[] = [bao.rootToken, spare.rootToken];
      const used = new Set<string>();
      const sent: Sent[] = [];
      const failed: string[] = [];
      const send = async (what: string, method: string, path: string, body?: unknown, token?: string) => {
        const said = await client.send({
          method,
          path,
          headers: {
            ...(body === undefined ? {} : { 'content-type': path === '/introspect' ? FORM : 'application/json' }),
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          },
          ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        });
        sent.push({ what: `${method} ${path}, ${what}`, ...said });
        return said;
      };
      /** A request that succeeds; its answer's fields. */
      const succeed = async (method: string, path: string, body?: unknown, token?: string) => {
        const { status, text } = await send('as it should be', method, path, body, token);
        used.add(`${method} ${path.split('?')[0]}`);
        if (status >= 300) failed.push(`${method} ${path} answered ${status}`);
        return (text.startsWith('{') ? JSON.parse(text) : {}) as Record<string, unknown>;
      };

      const { value, password } = canaries;
      const main = { address: front.url, token: bao.rootToken };
      const other = { address: otherFront.url, token: spare.rootToken };
      const given = await useEveryRoute(succeed, { value, password, main, spare: other, useHost: at });
      tokens.push(...given);

      const document = (await (await fetch(`${world.management}/openapi.json`)).json()) as {
        paths: Record<string, Record<string, object>>;
      };
      const bad = canaries.inError;
      for (const [path, methods] of Object.entries(document.paths)) {
        const pattern = new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`);
        for (const name of Object.keys(methods)) {
          const method = name.toUpperCase();
          const wasUsed = [...used].some(
            (one) => one.startsWith(`${method} `) && pattern.test(one.slice(method.length + 1)),
          );
          if (!wasUsed && !NEED_OTHERS.has(`${method} ${path}`) && !OPERATIONS.test(path))
            failed.push(`${method} ${path} was not used: add it to every-route.ts`);
          const to = path
            .replaceAll('{id}', randomUUID())
            .replaceAll('{version}', '1')
            .replaceAll(/\{\w+\}/g, 'a');
          // Each route as another person: rates are a caller's.
          const known = await client.token(ALL_SCOPES, { sub: randomUUID(), roles: ['admin'] });
          tokens.push(known);
          await send('a token that is none', method, to, undefined, bad);
          await send('an unknown parameter', method, `${to}?unknown=${bad}`, undefined, known);
          if (method === 'GET' || method === 'DELETE') continue;
          await send('malformed JSON', method, to, `{"${bad}":${bad}`, known);
          await send(
            'unknown fields',
            method,
            to,
            { unknown: bad, password: [bad], value: { text: 7, base64: bad } },
            known,
          );
          await send('a list', method, to, [bad], known);
        }
      }
      for (const { what, status } of sent)
        if (status >= 500 && status !== 503) failed.push(`${what} answered ${status}`);

      const until = performance.now() + ARRIVE_WITHIN_MS;
      while (performance.now() < until && !traces.text().includes('/v1/secrets/:name')) await delay(200);
      await delay(1_500);
      const problems = sent
        .filter(({ status }) => status >= 400)
        .map(({ what, text }): [string, string] => [what, text]);
      const places = new Map<string, string>([
        ...problems.map(([what, text]): [string, string] => [`problem of ${what}`, text]),
        ['log', await world.log()],
        ['traces', traces.text()],
        ['metrics', await (await fetch(`${world.management}/metrics`)).text()],
        ...(await redisDump(world)),
        ...(await databaseDump(world)),
        ['events', await eventsOf(world)],
      ]);
      const looked = [...Object.values(canaries), ...tokens];
      const found = [...places].flatMap(([place, text]) => looked.flatMap((canary) => leaksOf(canary, place, text)));
      const has = (place: string, text: string) =>
        [...places].some(([name, held]) => name.startsWith(place) && held.includes(text));
      for (const [place, text] of Object.entries(SEEN))
        if (!has(place, text)) failed.push(`nothing was looked at in ${place}`);
      say(
        `${sent.length} requests, of them ${problems.length} refused; ${looked.length} secrets in ${places.size} places: ${found.length} found`,
      );
      return { tried: sent.length, failed: [...failed, ...found], lost: [] };
    } finally {
      await Promise.all([world, traces, front, otherFront, bao, spare].map((one) => one.close()));
    }
  },
};

/** What must be there to be looked at, or the search showed nothing. */
const SEEN = {
  log: '/v1/secrets',
  traces: '/v1/secrets/:name',
  metrics: '/v1/secrets/:name',
  'bus ': 'audit',
  cache: 'key-proxy:value:',
  'table public.secrets': 'openbao',
  events: 'secret.read',
};

/** Every event, those too that lie compressed in a batch. */
async function eventsOf({ postgres, database }: KeyProxyWorld): Promise<string> {
  const rows = await postgres.asAdmin(
    async (client) =>
      await client.query<{ content: Buffer; bytes: number; count: number }>(
        'select content, bytes, (last - first + 1)::int as count from audit_batches',
      ),
    database.name,
  );
  const entries = rows.rows.flatMap(({ count, ...batch }) => unpackContent(batch, count));
  return entries.map(({ event }) => Buffer.from(event).toString('latin1')).join('\n');
}
