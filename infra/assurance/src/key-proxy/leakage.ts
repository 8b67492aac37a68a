import { developmentCa, leaksOf, newCanary } from '@postern/testing';
import { passOnTo, startHttpsFront } from '@postern/testing/https-front';
import { startOpenBao } from '@postern/testing/openbao';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type Case } from '../assess.ts';
import { databaseDump, redisDump } from '../store/dumps.ts';
import { openTraceCollector } from '../store/traces.ts';
import { openKeyProxyWorld, type Said } from './key-proxy-world.ts';

const tracing = new URL('../../../../libs/runtime/src/otel.ts', import.meta.url).href;
const SCOPES = ['read', 'write', 'use', 'delete', 'configure', 'audit'].map((verb) => `secrets:${verb}`);
const ALL_SCOPES = [...SCOPES, 'account:manage', 'accounts:manage'];
/** Traces leave in the background. */
const ARRIVE_WITHIN_MS = 15_000;

type Sent = Said & { what: string };

/** Canaries as values, passwords, credentials and tokens through every route, with debug logging and tracing on. */
export const secretLeakage: Case = {
  name: 'key-proxy/leakage',
  guarantee: 'no value, password, credential or token stands in a log, trace, metric, problem, job, cache entry or row',
  async run({ say }) {
    const [bao, traces] = await Promise.all([startOpenBao(), openTraceCollector()]);
    const front = await startHttpsFront(passOnTo(bao.address));
    const { paths } = await developmentCa().issue('front');
    const at = `127.0.0.1:${front.port}`;
    const world = await openKeyProxyWorld(
      {
        POSTERN_PROFILE: 'fedramp-low',
        POSTERN_PROVIDER_HOSTS: at,
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
      const tokens: string[] = [bao.rootToken];
      const sent: Sent[] = [];
      const failed: string[] = [];
      const send = async (what: string, method: string, path: string, body?: unknown, token?: string) => {
        const said = await client.send({
          method,
          path,
          headers: {
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
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
        if (status >= 300) failed.push(`${method} ${path} answered ${status}`);
        return (text.startsWith('{') ? JSON.parse(text) : {}) as Record<string, unknown>;
      };

      const { value, password } = canaries;
      const email = 'leaks@foods.example';
      const person = { contact_name: 'Alice Example', phone_number: '+45 12 34 56 78' };
      const company = { company_name: 'Example Foods', kms_selection: 'crypto-store', kms_credentials: {} };
      await succeed('POST', '/signup', { ...company, ...person, email, password });
      const login = await succeed('POST', '/login', { email, password });
      const session = await succeed('POST', '/v1/session/refresh', { refresh_token: login['refresh_token'] });
      const token = String(session['access_token']);
      tokens.push(...[login, session].flatMap((one) => [String(one['access_token']), String(one['refresh_token'])]));
      const invited = await succeed('POST', '/v1/invitations', { email: 'bob@foods.example', role: 'user' }, token);
      tokens.push(String(invited['token']));
      await succeed('POST', '/v1/accept-invitation', { token: invited['token'], ...person, password });
      const credentials = { address: front.url, token: bao.rootToken };
      await succeed('PUT', '/v1/providers/main', { kind: 'openbao', credentials }, token);
      await succeed('PUT', '/v1/provider-default', { name: 'main', of: 'tenant' }, token);
      await succeed('POST', '/create-secret', { secret_name: 'seed', secret_value: value }, token);
      await succeed('GET', '/get-all-secrets?values=true', undefined, token);
      const cached = { value: { text: value }, cache_seconds: 3_600 };
      await succeed('POST', '/v1/secrets/a', cached, token);
      for (const path of ['', '', '?version=1']) await succeed('GET', `/v1/secrets/a${path}`, undefined, token);
      await succeed('POST', '/v1/secrets/a/versions', { value: { text: `${value}!` } }, token);
      await succeed('POST', '/v1/secrets/a/copy', { name: 'b' }, token);
      const use = {
        host: at,
        placement: { kind: 'bearer' },
        methods: ['GET'],
        path: '/v1/*/*',
        answer_fields: ['version'],
      };
      await succeed('PUT', '/v1/secrets/a/use', use, token);
      await succeed('POST', '/v1/secrets/a/use', { method: 'GET', path: '/v1/sys/health' }, token);
      await succeed('GET', '/v1/secrets', undefined, token);
      await succeed('DELETE', '/v1/secrets/b', undefined, token);
      await succeed(
        'POST',
        '/v1/account/password',
        { present_password: password, new_password: `${password}-2` },
        token,
      );

      const document = (await (await fetch(`${world.management}/openapi.json`)).json()) as {
        paths: Record<string, Record<string, object>>;
      };
      const bad = canaries.inError;
      for (const [path, methods] of Object.entries(document.paths)) {
        for (const name of Object.keys(methods)) {
          const method = name.toUpperCase();
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
      await Promise.all([world.close(), traces.close(), front.close(), bao.close()]);
    }
  },
};

/** What must be there to be looked at, or the search showed nothing. */
const SEEN = {
  log: '/v1/secrets',
  traces: '/v1/secrets/:name',
  metrics: '/v1/secrets/:name',
  cache: 'key-proxy:value:',
  'table public.secrets': 'openbao',
  'table public.audit_': 'secret.read',
};
