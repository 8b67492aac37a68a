import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { routesOn } from '@postern/http';
import { walkRoutes } from '@postern/http/walk';
import {
  describeWith,
  developmentCa,
  developmentPassword,
  developmentRealm,
  freePort,
  login as headlessLogin,
  realPart,
  stableId,
  startIdentityProvider,
  type DevelopmentIdentityProvider,
  type Realm,
} from '@postern/testing';
import { accessibilityViolations, openBrowser, type Page } from '@postern/testing/browser';
import { openProvider } from '@postern/oidc';
import { Agent, request } from 'undici';
import { openWorld, policy, type Caller, type Reply, type World } from './token-exchange.ts';

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

describeWith(
  await realPart('Chromium', openBrowser),
  'R17, R19: the pages of approvals in a real browser',
  (browser) => {
    let realm: DevelopmentIdentityProvider;
    let world: World;
    let job: Caller;
    let origin: string;
    let ca: string;
    let anonymous: Agent;
    const people = new Map<string, Page>();

    beforeAll(async () => {
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
    });
    afterAll(async () => {
      await browser.close();
      await world.close();
      await realm.close();
    });

    /** An exchange that has to wait, in the name of somebody, under a grant of its own. */
    async function asked(scope: string, more: Record<string, string> = {}, person = 'alice'): Promise<Reply> {
      const grant = await world.grants.mint({
        kind: 'grant',
        audience: 'token-exchange',
        clientId: 'job',
        actors: ['job'],
        scopes: SCOPES,
        boundTo: job.thumbprint,
        grantId: crypto.randomUUID(),
        subjectIssuer: realm.issuer,
        sub: stableId(`postern/${person}`),
      });
      return job.exchange(grant, 'key-proxy', scope, more);
    }
    const idOf = ({ body }: Reply) => String(body['approval_id']);
    const stateOf = async (id: string) =>
      (
        await world.query<{ state: string; approved_scopes: string[] | null }>(
          'select state, approved_scopes from approvals where id = $1',
          [id],
        )
      )[0];

    async function login(page: Page, username: string): Promise<void> {
      await page.fill('input[name=username]', username);
      await page.fill('input[name=password]', developmentPassword(username));
      await page.click('button[name=login]');
    }
    /** That person's browser, signed in: one a person, as its cookies last. */
    async function signedIn(username: string): Promise<Page> {
      const known = people.get(username);
      if (known) return known;
      const page = await browser.visitor({ scripts: false });
      await page.goto(`${origin}/approvals`);
      await page.click('text="Sign in"');
      await login(page, username);
      people.set(username, page);
      return page;
    }

    test('without a script, somebody signs in, sees what is asked, by whom, for what and why, and approves', async () => {
      const id = idOf(
        await asked('secrets:read', { justification: 'Nightly report of <b>open</b> invoices\n"with" quotes' }),
      );
      const page = await signedIn('admin-ada');
      expect(new URL(page.url()).pathname).toBe('/approvals');
      // Who reads has a name from their login; of a grant's person only the id is known, and is not shown in full here.
      expect(await page.innerText('.who')).toContain('Signed in as admin-ada');
      const inList = await page.innerText(`a[href="/approvals/${id}"]`);
      expect(inList).toContain(`For ${stableId('postern/alice').slice(0, 8)}…`);
      await browser.screenshot(page, 'approvals-list');
      await page.click(`a[href="/approvals/${id}"]`);
      const text = await page.innerText('main');
      for (const part of [
        'job',
        'key-proxy',
        stableId('postern/alice'),
        'secrets:read',
        'Nightly report of <b>open</b>',
      ]) {
        expect(text).toContain(part);
      }
      expect(await page.locator('main b').count()).toBe(0);
      await browser.screenshot(page, 'approvals-request');
      await page.fill('textarea', 'Agreed with the team');
      await page.click('text=Approve what is ticked');
      expect(await page.innerText('main')).toContain('Approved');
      expect(await stateOf(id)).toEqual({ state: 'approved', approved_scopes: ['secrets:read'] });
      await browser.screenshot(page, 'approvals-approved');
    });

    test('whom the realm gives a name is shown by it, until somebody has decided', async () => {
      const portal = await world.caller('portal');
      const provider = await openProvider({
        issuer: realm.issuer,
        clientId: 'portal',
        authentication: { method: 'tls_client_auth' },
        dispatcher: portal.agent,
      });
      const redirectUri = 'https://127.0.0.1:1/callback';
      const begun = await provider.startAuthorization({ redirectUri, scopes: ['openid'] });
      const person = { username: 'alice', password: developmentPassword('alice'), redirectUri, ca };
      const tokens = await provider.redeem({ ...begun, callbackUrl: await headlessLogin(begun.url, person) });
      const id = idOf(await portal.exchange(tokens.accessToken.reveal(), 'key-proxy', 'secrets:read'));
      const page = await signedIn('admin-ada');
      await page.goto(`${origin}/approvals`);
      expect(await page.innerText(`a[href="/approvals/${id}"]`)).toContain('For alice, by portal');
      await page.goto(`${origin}/approvals/${id}`);
      expect(await page.innerText('main')).toContain(`alice\n${stableId('postern/alice')} of ${realm.issuer}`);
      await browser.screenshot(page, 'approvals-request-named');
      await page.click('text="Deny"');
      const named = await world.query('select 1 from approvals where person_name is not null and state <> $1', [
        'pending',
      ]);
      expect(named).toEqual([]);
      expect(await page.innerText('main')).not.toContain(`alice\n`);
      const events = await world.query<{ canonical: Buffer }>('select canonical from audit_outbox');
      expect(events.map(({ canonical }) => canonical.toString()).join()).not.toContain('"alice"');
    });

    test('what is unticked is not approved; denied is denied', async () => {
      const [narrow, no] = [idOf(await asked('secrets:read secrets:write')), idOf(await asked('secrets:write'))];
      const page = await signedIn('admin-ada');
      await page.goto(`${origin}/approvals/${no}`);
      await page.click('text="Deny"');
      expect((await stateOf(no))?.state).toBe('denied');
      await page.goto(`${origin}/approvals/${narrow}`);
      await page.uncheck('input[value="secrets:read"]');
      await page.uncheck('input[value="secrets:write"]');
      await page.click('text=Approve what is ticked');
      expect(await page.innerText('main')).toContain('Tick at least one');
      await page.goto(`${origin}/approvals/${narrow}`);
      await page.uncheck('input[value="secrets:write"]');
      await page.click('text=Approve what is ticked');
      const waits = await page.innerText('main');
      expect(waits).toContain('You have decided about this already');
      expect((await stateOf(narrow))?.state).toBe('pending');
      await browser.screenshot(page, 'approvals-second-person');
      const other = await signedIn('carol');
      await other.goto(`${origin}/approvals/${narrow}`);
      await other.click('text=Approve what is ticked');
      expect(await stateOf(narrow)).toEqual({ state: 'approved', approved_scopes: ['secrets:read'] });
    });

    test('nobody decides about their own, without the role, or about what is no longer open', async () => {
      const own = idOf(await asked('secrets:read', {}, 'carol'));
      const carol = await signedIn('carol');
      await carol.goto(`${origin}/approvals/${own}`);
      expect(await carol.innerText('main')).toContain('Nobody approves for themselves');
      expect(await carol.locator('textarea').count()).toBe(0);
      const alice = await signedIn('alice');
      expect(await alice.innerText('main')).toContain('You lack the role');
      expect((await alice.goto(`${origin}/approvals/${own}`))?.status()).toBe(403);
      await browser.screenshot(alice, 'approvals-refused');

      const ada = await signedIn('admin-ada');
      await ada.goto(`${origin}/approvals/${own}`);
      await world.query('update approvals set expires_at = now() where id = $1', [own]);
      await ada.click('text=Approve what is ticked');
      expect(await ada.innerText('main')).toContain('no longer waits');
      expect((await stateOf(own))?.state).toBe('pending');
    });

    test('a form without the session’s own token, or from another origin, changes nothing', async () => {
      const id = idOf(await asked('secrets:read'));
      const ada = await signedIn('admin-ada');
      await ada.goto(`${origin}/approvals/${id}`);
      const csrf = await ada.getAttribute('input[name=csrf]', 'value');
      const cookies = (await ada.context().cookies(origin)).map(({ name, value }) => `${name}=${value}`).join('; ');
      const post = async (form: Record<string, string>, headers: Record<string, string>) => {
        const answer = await request(`${origin}/approvals/${id}/decision`, {
          method: 'POST',
          dispatcher: anonymous,
          headers: { cookie: cookies, 'content-type': 'application/x-www-form-urlencoded', ...headers },
          body: new URLSearchParams(form).toString(),
        });
        await answer.body.dump();
        return answer.statusCode;
      };
      const form = { csrf: csrf ?? '', decision: 'approved', scope: 'secrets:read' };
      expect(await post({ ...form, csrf: 'x'.repeat(43) }, { origin })).toBe(403);
      expect(await post(form, { origin: realm.issuer })).toBe(403);
      expect(await post(form, { origin: 'null' })).toBe(403);
      expect(await post(form, {})).toBe(403);
      expect((await stateOf(id))?.state).toBe('pending');
      // The same request as the page sends it: so it was the token and the origin that were refused.
      expect(await post(form, { origin })).toBe(303);
      expect((await stateOf(id))?.state).toBe('approved');
    });

    test('cookies are of this host alone, unreadable for scripts, and pages allow no script, frame or foreign form', async () => {
      const ada = await signedIn('admin-ada');
      const answer = await ada.goto(`${origin}/approvals`);
      const own = (await ada.context().cookies(origin)).filter(({ name }) => name.startsWith('__Host-'));
      expect(own).toEqual([
        expect.objectContaining({ name: '__Host-session', secure: true, httpOnly: true, sameSite: 'Lax', path: '/' }),
      ]);
      const csp = answer?.headers()['content-security-policy'];
      expect(csp).toMatch(
        /^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'$/,
      );
      expect(answer?.headers()['cache-control']).toBe('no-store');
      const value = own[0]?.value ?? '';
      expect(await answer?.text()).not.toContain(value);
      expect(JSON.stringify(await world.query('select * from web_sessions'))).not.toContain(value);
    });

    test('a callback that was not begun in this browser signs nobody in', async () => {
      const ada = await signedIn('admin-ada');
      // dave signs in at the provider for a sign-in that somebody else began, and his browser is kept from the callback.
      const begun = await request(`${origin}/approvals/sign-in`, { dispatcher: anonymous });
      const dave = {
        username: 'dave',
        password: developmentPassword('dave'),
        redirectUri: `${origin}/approvals/callback`,
      };
      const callback = await headlessLogin(String(begun.headers['location']), { ...dave, ca });
      expect(callback.searchParams.get('code')).not.toBeNull();
      const victim = await browser.visitor({ scripts: false });
      expect((await victim.goto(callback.href))?.status()).toBe(400);
      expect(await victim.innerText('main')).toContain('not begun in this browser');
      expect((await victim.context().cookies(origin)).filter(({ name }) => name === '__Host-session')).toEqual([]);
      await victim.context().close();
      expect((await ada.goto(`${origin}/approvals`))?.status()).toBe(200);
    });

    test('no serious violation of WCAG 2.2 AA on any page', async () => {
      const id = idOf(await asked('secrets:read secrets:write', { justification: 'To be read aloud' }));
      const page = await browser.visitor();
      const found: unknown[] = [];
      const check = async () => found.push(...(await accessibilityViolations(page)));
      await page.goto(`${origin}/approvals`);
      await check();
      await browser.screenshot(page, 'approvals-sign-in');
      await page.click('text="Sign in"');
      await login(page, 'dave');
      await check();
      await page.goto(`${origin}/approvals/${id}`);
      await check();
      await page.emulateMedia({ colorScheme: 'dark' });
      await check();
      await browser.screenshot(page, 'approvals-request-dark');
      await page.setViewportSize({ width: 380, height: 800 });
      await browser.screenshot(page, 'approvals-request-narrow');
      await page.goto(`${origin}/approvals/${crypto.randomUUID()}`);
      await check();
      await page.click('text="Sign out"');
      await check();
      expect(await page.innerText('main')).toContain('Your session here is over');
      expect(found).toEqual([]);
      await page.goto(`${origin}/approvals`);
      expect(await page.innerText('main')).toContain('Sign in to see');
      await page.context().close();
    });

    test('a session ends when idle, and when the provider says so', async () => {
      const page = await browser.visitor({ scripts: false });
      await page.goto(`${origin}/approvals/sign-in?for=/approvals`);
      await login(page, 'dave');
      const shown = async () => {
        await page.goto(`${origin}/approvals`);
        return page.innerText('main');
      };
      expect(await shown()).not.toContain('Sign in to see');
      world.skew(16 * 60_000);
      expect(await shown()).toContain('Sign in to see');
      world.skew(0);
      expect(await shown()).not.toContain('Sign in to see');
      await realm.logoutUser('dave');
      expect(await shown()).toContain('Sign in to see');
      await page.context().close();
    });

    test('every route of the pages refuses what it must, from its declaration', async () => {
      const pages = world.service.app.routes.filter(({ path }) => path.startsWith('/approvals'));
      const report = await walkRoutes(
        { ...world.service.app, routes: pages },
        {
          urls: { api: world.urls.api ?? '', public: world.urls.public ?? '', management: world.urls.management ?? '' },
          dispatcher: job.agent,
          anonymous,
          params: { id: crypto.randomUUID() },
          token: () => Promise.reject(new Error('no page takes a token')),
          state: () =>
            world.query(
              'select (select count(*) from approvals) approvals, (select count(*) from web_sessions) sessions',
            ),
        },
      );
      expect(report.failures).toEqual([]);
      expect(report.tried).toBeGreaterThan(10);
    });

    test('the routes of the pages, beside those that are always there', () => {
      expect(routesOn(world.service.app, 'public').filter((name) => name.includes('/approvals'))).toEqual([
        'GET /approvals',
        'GET /approvals/:id',
        'GET /approvals/callback',
        'GET /approvals/sign-in',
        'POST /approvals/:id/decision',
        'POST /approvals/backchannel-logout',
        'POST /approvals/sign-out',
      ]);
    });
  },
);
