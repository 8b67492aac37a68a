import { logInAs } from '@postern/cli';
import { openCast, openHome, playTour, quietly, services, startStack, type Cast, type Stack } from '@postern/dev';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { holds, type Case, type Circumstances, type Findings } from '../assess.ts';
import { openServiceDatabases, rowsOf } from './rows-left.ts';

/** Of the development realm: everybody in it. */
const TENANT = 'acme';
const ENDS_WITHIN_MS = 300_000;
const POLL_MS = 500;

/** What is denied goes after so long; in production five minutes. */
const settings = {
  POSTERN_BRANCH_KEY_SECONDS: '2',
};

type Databases = Awaited<ReturnType<typeof openServiceDatabases>>;
type World = { stack: Stack; cast: Cast; databases: Databases };

export const tenantDestruction: Case = {
  name: 'tenant/destruction',
  guarantee:
    'a tenant that two administrators destroy is gone from all five services, though one crashes and the bus is lost',
  async run(circumstances) {
    const home = openHome(mkdtempSync(join(tmpdir(), 'postern-assurance-')));
    let findings: Findings | undefined;
    const stack = await startStack({
      home,
      idp: 'development',
      step: quietly,
      settings: () =>
        Promise.resolve({
          ...Object.fromEntries(services.map((service) => [service, settings])),
          'crypto-store': { ...settings, POSTERN_DESTRUCTION_WAIT_HOURS: '0' },
        }),
    });
    const cast = openCast(stack.state, stack.certificates);
    const databases = await openServiceDatabases(stack, services);
    try {
      findings = await destroy({ stack, cast, databases }, circumstances);
      return findings;
    } finally {
      await databases.close();
      await cast.close();
      await stack.close();
      if (findings && holds(findings)) rmSync(home.dir, { recursive: true, force: true });
      else circumstances.say(`databases and logs are kept in ${home.dir}`);
    }
  },
};

async function destroy(world: World, { say }: Circumstances): Promise<Findings> {
  const { stack, databases } = world;
  const failed: string[] = [];
  await fill(stack);
  const tokens = await tokensOf(world);
  const good = await accepted(world, tokens);
  for (const { name } of tokens) if (!good.includes(name)) failed.push(`${name} was refused before`);
  const before = await everyRow(databases, new Date());
  for (const service of services)
    if (sum(before[service] ?? {}) === 0) failed.push(`${service} held nothing of the tenant to begin with`);

  await twoAdministrators(world);
  // While it is under way: what was said on the bus is lost, and a service dies.
  await stack.flush('bus');
  await stack.crash('key-proxy');
  const { answered, begun, took } = await untilDestroyed(databases, failed);

  const after = await everyRow(databases, begun);
  for (const service of services)
    for (const [table, rows] of Object.entries(after[service] ?? {}))
      failed.push(`${service} still holds ${rows} rows in ${table}`);
  const still = await accepted(world, [...tokens, ...(await freshTokens(world))]);
  for (const name of still) failed.push(`${name} was accepted afterwards`);
  const [rowsBefore, rowsAfter] = [before, after].map((of) => services.map((service) => sum(of[service] ?? {})));
  say(
    `rows before ${services.map((service, at) => `${service} ${rowsBefore?.[at]}`).join(', ')}; ` +
      `left ${services.map((service, at) => `${service} ${rowsAfter?.[at]}`).join(', ')}`,
  );
  say(
    `acknowledgements ${answered} of ${services.length} after ${took.toFixed(0)} s; tokens accepted afterwards ${still.length} of ${tokens.length}`,
  );
  return { tried: (rowsBefore ?? []).reduce((all, some) => all + some, 0) + tokens.length, failed, lost: [] };
}

/**
 * The tour leaves rows of the tenant in every service. On a busy machine its own expectations, of a cache that answers in time, may
 * fail; they are not what is asked here.
 */
async function fill(stack: Stack, turns = 3): Promise<void> {
  try {
    await playTour(stack);
  } catch (error) {
    if (turns === 1) throw error;
    await fill(stack, turns - 1);
  }
}

const sum = (rows: Record<string, number>) => Object.values(rows).reduce((all, some) => all + some, 0);

async function everyRow(databases: Databases, before: Date) {
  const each = services.map(async (service) => [service, await rowsOf(databases.of(service), TENANT, before)] as const);
  return Object.fromEntries(await Promise.all(each));
}

const realmOf = ({ stack, cast }: World) => ({
  issuer: stack.state.issuer,
  clientId: 'portal',
  postern: cast.portal,
  ca: stack.certificates.of.portal.ca,
  redirectUri: 'https://127.0.0.1/callback',
});
const logIn = (world: World, username: string) =>
  logInAs({ username, password: world.stack.state.users[username] ?? '' }, realmOf(world));

type Token = { name: string; url: string; token: string };

/** A person's token for each service, and a call that it is good for. */
async function tokensOf(world: World): Promise<Token[]> {
  const { urls } = world.stack.state;
  const asked = [
    ['auth-manager', 'alice', 'grants:read', '/v1/grants'],
    ['crypto-store', 'alice', 'records:read', '/v1/records?limit=1'],
    ['key-proxy', 'alice', 'secrets:read', '/get-all-secrets'],
    ['audit-sink', 'audrey', 'audit:read', '/v1/events?limit=1'],
    ['token-exchange', 'operator-oda', 'tenants:read', '/v1/tenants'],
  ] as const;
  const tokens: Token[] = [];
  for (const [audience, username, scope, path] of asked) {
    const subjectToken = await logIn(world, username);
    const { accessToken } = await world.cast.portal.exchange({ subjectToken, audience, scopes: [scope] });
    tokens.push({
      name: `${audience}'s token of ${username}`,
      url: `${urls[audience].api}${path}`,
      token: accessToken,
    });
  }
  return tokens;
}

/** Who logs in at the realm afterwards gets nothing for its token. */
async function freshTokens(world: World): Promise<Token[]> {
  const subjectToken = await logIn(world, 'alice');
  const asked = { subjectToken, audience: 'crypto-store', scopes: ['records:read'] };
  const exchanged = await world.cast.portal.exchange(asked).catch(() => null);
  const url = `${world.stack.state.urls['crypto-store'].api}/v1/records?limit=1`;
  return exchanged ? [{ name: 'a token of a new login', url, token: exchanged.accessToken }] : [];
}

async function accepted({ cast }: World, tokens: readonly Token[]): Promise<string[]> {
  const names: string[] = [];
  for (const { name, url, token } of tokens) {
    const { status } = await cast.portal.fetch(url, { method: 'GET', token });
    if (status === 200) names.push(name);
  }
  return names;
}

async function twoAdministrators(world: World): Promise<void> {
  const { cast, stack } = world;
  const url = `${stack.state.urls['crypto-store'].api}/v1/key-destruction`;
  const post = async (username: string, to: string, json: unknown) => {
    const subjectToken = await logIn(world, username);
    const asked = { subjectToken, audience: 'crypto-store', scopes: ['keys:destroy'] };
    const { accessToken: token } = await cast.portal.exchange(asked);
    const headers = { 'content-type': 'application/json' };
    const answer = await cast.portal.fetch(to, { method: 'POST', token, body: JSON.stringify(json), headers });
    if (answer.status !== 202) throw new Error(`${username} was answered ${answer.status}: ${answer.body}`);
    return JSON.parse(answer.body) as { id: string };
  };
  const { id } = await post('admin-ada', url, { tenant: TENANT });
  await post('admin-bob', `${url}/approve`, { id });
}

/** Waits for the end. What ends in less than all the answers is a failure. */
async function untilDestroyed(databases: Databases, failed: string[]) {
  const query = databases.of('crypto-store');
  const started = performance.now();
  for (;;) {
    const [row] = await query<{ state: string; answered: number; begun: Date }>(
      `select d.state, count(s.answered_at)::int as answered, min(s.told_at) as begun
         from key_destructions d left join destruction_services s on s.destruction = d.id
        where d.tenant = $1 group by d.state`,
      [TENANT],
    );
    const took = (performance.now() - started) / 1000;
    if (row?.state === 'destroyed') {
      if (row.answered < services.length) failed.push(`it was called complete with ${row.answered} acknowledgements`);
      return { answered: row.answered, begun: row.begun, took };
    }
    if (took * 1000 > ENDS_WITHIN_MS) {
      failed.push(`after ${took.toFixed(0)} s it is ${row?.state} with ${row?.answered} acknowledgements`);
      return { answered: row?.answered ?? 0, begun: row?.begun ?? new Date(), took };
    }
    await delay(POLL_MS);
  }
}
