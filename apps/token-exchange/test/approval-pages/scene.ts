import {
  developmentCa,
  developmentPassword,
  developmentRealm,
  freePort,
  stableId,
  startIdentityProvider,
  type DevelopmentIdentityProvider,
  type Realm,
} from '@postern/testing';
import type { OpenBrowser, Page } from '@postern/testing/browser';
import { Agent } from 'undici';
import { openWorld, policy, type Caller, type Reply, type World } from '../token-exchange.ts';

// People in a real browser before requests of a job, with a realm at which they sign in: one world for all pages.

export let browser: OpenBrowser;
export let realm: DevelopmentIdentityProvider;
export let world: World;
export let job: Caller;
export let origin: string;
export let ca: string;
export let anonymous: Agent;
const people = new Map<string, Page>();

const SCOPES = ['secrets:read', 'secrets:write'];
/** From `high` on, two people approve. */
const risks: Record<string, 'medium' | 'high'> = { 'secrets:read': 'medium', 'secrets:write': 'high' };
const admins = ['carol', 'dave'];

/** The development realm, with two more people who approve. */
function realmWith(origin: string): Realm {
  const realm = developmentRealm({
    portalRedirectUris: ['https://127.0.0.1:1/callback'],
    authManagerRedirectUris: ['https://127.0.0.1:2/callback'],
    authManagerJwks: { keys: [] },
    approvalsPages: {
      redirectUris: [`${origin}/approvals/callback`],
      logoutUrl: `${origin}/approvals/backchannel-logout`,
    },
  });
  const more = admins.map((username) => ({
    ...realm.users[0]!,
    id: stableId(`postern/${username}`),
    username,
    password: developmentPassword(username),
    email: `${username}@acme.example`,
    roles: ['token-exchange/admin'],
  }));
  return { ...realm, users: [...realm.users, ...more] };
}

export async function open(opened: OpenBrowser): Promise<void> {
  browser = opened;
  const publicPort = await freePort();
  origin = `https://127.0.0.1:${publicPort}`;
  realm = await startIdentityProvider({
    tls: await developmentCa().issue('identity-provider'),
    realm: realmWith(origin),
  });
  world = await openWorld({
    publicPort,
    realmEntry: {
      issuer: realm.issuer,
      jwksUri: `${realm.issuer}/protocol/openid-connect/certs`,
      kinds: ['provider-access'],
      algorithms: ['ES256'],
      scopeCeiling: 'policy',
      tenant: { fixed: 'acme' },
    },
    document: {
      ...policy,
      scopes: policy.scopes.map((scope) =>
        SCOPES.includes(scope.name)
          ? { ...scope, risk: risks[scope.name] ?? scope.risk, decision: 'admin_required' as const }
          : scope,
      ),
      approvals: { issuer: realm.issuer, role: 'admin', twoPersonsFrom: 'high', expireSeconds: 86_400 },
    },
    env: { POSTERN_APPROVALS_CLIENT_ID: 'token-exchange' },
  });
  job = await world.caller('job');
  ca = await developmentCa().certificate();
  anonymous = new Agent({ connect: { ca } });
}
export async function close(): Promise<void> {
  await browser.close();
  await world.close();
  await realm.close();
}

/** An exchange that has to wait, in the name of somebody, under a grant of its own. */
export async function asked(scope: string, more: Record<string, string> = {}, person = 'alice'): Promise<Reply> {
  const grant = await world.jobGrant(job, {
    scopes: SCOPES,
    grantId: crypto.randomUUID(),
    subjectIssuer: realm.issuer,
    sub: stableId(`postern/${person}`),
  });
  return job.exchange(grant, 'key-proxy', scope, more);
}
export const idOf = ({ body }: Reply) => String(body['approval_id']);
export const stateOf = async (id: string) =>
  (
    await world.query<{ state: string; approved_scopes: string[] | null }>(
      'select state, approved_scopes from approvals where id = $1',
      [id],
    )
  )[0];

export async function login(page: Page, username: string): Promise<void> {
  await page.fill('input[name=username]', username);
  await page.fill('input[name=password]', developmentPassword(username));
  await page.click('button[name=login]');
}
/** That person's browser, signed in: one a person, as its cookies last. */
export async function signedIn(username: string): Promise<Page> {
  const known = people.get(username);
  if (known) return known;
  const page = await browser.visitor({ scripts: false });
  await page.goto(`${origin}/approvals`);
  await page.click('text="Sign in"');
  await login(page, username);
  people.set(username, page);
  return page;
}
