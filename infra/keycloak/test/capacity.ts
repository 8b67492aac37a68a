/**
 * What one Keycloak serves on this machine (section 13): `node infra/keycloak/test/capacity.ts [SECONDS A POINT] [CLIENTS]`. Prints a
 * table for docs/capacity.md, and how long an apply of so many new clients takes, and a plan of them. Server, its clients and everything else share the machine: the figures are a lower bound.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

import { openHeadlessBrowser } from '@postern/testing/identity-provider';

import { answer, compiled, callback, documentOf, openLiveWorld, password, type LiveWorld } from './live-world.ts';
import { applyPlan, planRealm } from '../src/index.ts';

const SECONDS = Number(process.argv[2] ?? 20);
const CLIENTS = Number(process.argv[3] ?? 1_000);
const AT_ONCE = 4;
const REALM = 'capacity';

/** The portal's tokens are also for a service, which asks the server about them over the same certificate. */
const document = documentOf(
  'fedramp-moderate',
  REALM,
  '[keycloak.client.ledger]\nkind = "api-service"\nauthentication = "certificate"\nsubject_dn = "CN=portal"\n',
).replace('[keycloak.client.portal]\n', '[keycloak.client.portal]\naudiences = ["ledger"]\n');

type Point = { what: string; perSecond: number; p50Ms: number; p99Ms: number; failed: number };

/** Calls `once` again and again from `AT_ONCE` callers for the time of a point; a first second is not counted. */
async function point(what: string, once: (caller: number) => Promise<boolean>): Promise<Point> {
  const begun = performance.now();
  const counted = begun + 1_000;
  const end = counted + SECONDS * 1_000;
  const times: number[] = [];
  let failed = 0;
  const caller = async (number: number) => {
    for (;;) {
      const start = performance.now();
      if (start > end) return;
      const held = await once(number);
      if (start < counted) continue;
      if (held) times.push(performance.now() - start);
      else failed += 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, number) => caller(number)));
  const sorted = times.sort((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { what, perSecond: sorted.length / SECONDS, p50Ms: at(0.5), p99Ms: at(0.99), failed };
}

/** Memory of a process and of those that it started, in MiB. */
function memoryOf(root: number): number {
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
        return [{ pid: Number(pid), parent: field('PPid'), kib: field('VmRSS') }];
      } catch {
        return [];
      }
    });
  const below = (pid: number): number =>
    processes.filter(({ parent }) => parent === pid).reduce((sum, one) => sum + one.kib + below(one.pid), 0);
  return Math.round(below(root) / 1024);
}

async function measure(world: LiveWorld): Promise<Point[]> {
  const parties = Array.from({ length: AT_ONCE }, () => world.party(REALM, 'portal'));
  const services = Array.from({ length: AT_ONCE }, () => world.party(REALM, 'ledger'));
  const party = (caller: number) => parties[caller] as (typeof parties)[number];
  const login = async (caller: number) => {
    const browser = openHeadlessBrowser({ ca: world.ca });
    try {
      const { url, verifier } = await party(caller).authorization();
      const page = await browser.open(url, callback);
      const form = await answer(browser, page, { username: `person-${caller}`, password });
      return form.location ? await party(caller).redeem(new URL(form.location), verifier) : undefined;
    } finally {
      await browser.close();
    }
  };
  const tokens: Record<string, unknown>[] = [];
  for (let caller = 0; caller < AT_ONCE; caller += 1) tokens.push((await login(caller))?.body ?? {});
  if (tokens.some((token) => typeof token['access_token'] !== 'string')) throw new Error('nobody can log in');
  const [client] = await world.admin.get<{ id: string }[]>(`/${REALM}/clients?clientId=portal`);
  return [
    await point(
      'login: pushed request, password, code, token',
      async (caller) => (await login(caller))?.status === 200,
    ),
    await point('token by refresh', async (caller) => {
      const { status, body } = await party(caller).refresh(tokens[caller]?.['refresh_token']);
      if (status === 200) tokens[caller] = body;
      return status === 200;
    }),
    await point('introspection, by the service that the token is for', async (caller) => {
      const { body } = await (services[caller] as (typeof services)[number]).introspect(
        tokens[caller]?.['access_token'],
      );
      return body['active'] === true;
    }),
    await point('key set', async (caller) => (await party(caller).get(party(caller).endpoint('certs'))).status === 200),
    await point('Admin API: one client', async () => {
      await world.admin.get(`/${REALM}/clients/${client?.id}`);
      return true;
    }),
  ];
}

/** Seconds that an apply of a new realm takes, and a plan of it afterwards: it has nothing to do. */
async function applied(world: LiveWorld): Promise<{ apply: number; plan: number }> {
  const clients = Array.from({ length: CLIENTS }, (_, at) => `[keycloak.client.many-${at}]\nkind = "worker"\n`);
  const wanted = compiled(documentOf('fedramp-moderate', 'many', clients.join('\n')));
  const seconds = async (work: () => Promise<unknown>) => {
    const begun = performance.now();
    await work();
    return (performance.now() - begun) / 1_000;
  };
  const apply = await seconds(async () => applyPlan(world.admin, await planRealm(world.admin, wanted)));
  const plan = await seconds(async () => {
    const { steps } = await planRealm(world.admin, wanted);
    if (steps.length > 0) throw new Error('something was left to do');
  });
  return { apply, plan };
}

const world = await openLiveWorld({ compiler: 'default' });
try {
  const idle = memoryOf(world.keycloak.pid);
  await applyPlan(world.admin, await planRealm(world.admin, compiled(document)));
  for (let caller = 0; caller < AT_ONCE; caller += 1) await world.person(REALM, `person-${caller}`);
  const points = await measure(world);
  const rows = points.map(
    ({ what, perSecond, p50Ms, p99Ms, failed }) =>
      `| ${what} | ${perSecond.toFixed(1)} | ${p50Ms} ms | ${p99Ms} ms | ${failed} |`,
  );
  console.log(`${availableParallelism()} cores, ${AT_ONCE} callers, ${SECONDS} s a point, fedramp-moderate\n`);
  console.log(`| what | a second | p50 | p99 | failed |\n| --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`);
  const { apply, plan } = await applied(world);
  console.log(`${CLIENTS} new clients: applied in ${apply.toFixed(1)} s, a plan of them in ${plan.toFixed(1)} s\n`);
  console.log(`memory: ${idle} MiB after the start, ${memoryOf(world.keycloak.pid)} MiB after the load`);
} finally {
  await world.close();
}
