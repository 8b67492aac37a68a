import { expect } from '@jest/globals';
import { closeInReverse, type Closing } from '@postern/runtime';
import { freePort, openHeadlessBrowser } from '@postern/testing';
import { startKeycloak } from '@postern/testing/keycloak';
import type { Reply } from './caller.ts';
import { basic, offline, password, personIn, realmWith, scopeFor, type Username } from './keycloak-realm.ts';
import { openProviderSide } from './provider-side.ts';
import { openWorld, PORTAL_PAGE, type Replica } from './world.ts';

/** Of the realms that name audiences by scopes. */
export const SCOPES = ['files:read', 'mail:read'];
const HANDLE = { workload: 'job', audiences: ['portal', 'job'], scopes: SCOPES };
/** Of access tokens in the realm `strict`: shorter than what lies between two refreshes there. */
export const STRICT_LIFE_SECONDS = 1;
/** By which the realm `secretive` knows this service. */
export const SECRET = 'canary-of-a-client-secret';

const scoped = {
  clientScopes: [basic, offline, scopeFor('files:read', 'portal'), scopeFor('mail:read', 'job')],
  defaultDefaultClientScopes: ['basic'],
  defaultOptionalClientScopes: ['offline_access', ...SCOPES],
};
const exchanges = { 'standard.token.exchange.enabled': 'true' };
const unbound = { 'dpop.bound.access.tokens': 'false' };

const realmsFor = (publicUrl: string) => [
  realmWith('consents', publicUrl),
  realmWith('moderate', publicUrl, { realm: scoped, client: exchanges }),
  realmWith('low', publicUrl, {
    realm: { ...scoped, revokeRefreshToken: true, refreshTokenMaxReuse: 1 },
    client: { ...exchanges, ...unbound },
  }),
  realmWith('strict', publicUrl, {
    realm: {
      ...scoped,
      accessTokenLifespan: STRICT_LIFE_SECONDS,
      revokeRefreshToken: true,
      refreshTokenMaxReuse: 0,
    },
    client: unbound,
  }),
  realmWith('secretive', publicUrl, {
    realm: scoped,
    client: { ...unbound, 'require.pushed.authorization.requests': 'false' },
    secret: SECRET,
  }),
];
export type RealmName = 'consents' | 'moderate' | 'low' | 'strict' | 'secretive';

/** One Keycloak with a realm for each way of rotating and of knowing us; the service beside it serves one of them at a time. */
export type KeycloakSite = Awaited<ReturnType<typeof openKeycloakSite>>;

export async function openKeycloakSite() {
  const closing = closeInReverse();
  try {
    return await opened(closing);
  } catch (error) {
    await closing.close();
    throw error;
  }
}

async function opened(closing: Closing) {
  const world = closing.after(await openWorld());
  const { cert, key, ca } = await world.authority.issue('identity-provider');
  const keycloak = closing.after(
    await startKeycloak({ tls: { cert, key, ca }, port: await freePort(), realms: realmsFor(world.publicUrl) }),
  );
  const [portal, job, exchange] = await Promise.all([
    world.caller('portal'),
    world.caller('job'),
    world.caller('token-exchange'),
  ]);
  const sealed = closing.after(await openProviderSide(world));

  let realm: RealmName = 'moderate';
  let settings: Record<string, string> = {};
  let replica: Replica | undefined;
  const serving = (): Replica => {
    if (!replica) throw new Error('no realm is served yet');
    return replica;
  };

  const tokenOf = (username: Username, over: object = {}) =>
    portal.tokenFor('alice', ['grants:read', 'grants:write'], {
      sub: personIn(realm, username),
      subjectIssuer: keycloak.issuer(realm),
      ...over,
    });
  const age = (grant: string) =>
    world.query("update grants set confirmed_at = now() - interval '1 hour' where id = $1", [grant]);
  const use = async (grant: string, audience = 'token-exchange', scopes?: string[]): Promise<Reply> =>
    job.send(`${serving().api}/v1/grants/${grant}/access-token`, {
      method: 'POST',
      token: await job.ownToken(['grants:use']),
      body: { audience, ...(scopes && { scopes }) },
    });

  return {
    world,
    keycloak,
    portal,
    job,
    exchange,
    sealed,
    replica: serving,
    issuer: () => keycloak.issuer(realm),
    /** From now on the service at the public origin is one of this realm. */
    async serve(name: RealmName, own: Record<string, string> = {}): Promise<void> {
      await replica?.close();
      realm = name;
      settings = {
        POSTERN_OIDC_ISSUER: keycloak.issuer(name),
        POSTERN_PROVIDER_CLIENT_KEY_PATH: '',
        ...(name !== 'consents' && { POSTERN_PROVIDER_SCOPES: SCOPES.join(' ') }),
        ...own,
      };
      replica = await world.replica(settings);
    },
    /** From now on the people and consents are of another realm, which a tenant has registered. */
    moveTo: (name: RealmName) => void (realm = name),
    /** A further replica, beside the one at the public origin. */
    beside: (own: Record<string, string> = {}) => world.replica({ ...settings, POSTERN_PUBLIC_PORT: '0', ...own }),
    tokenOf,
    /** A consent of alice, from the portal's request to the grant. */
    async consented(): Promise<string> {
      const token = await tokenOf('alice');
      const body = { scopes: SCOPES, handle: HANDLE };
      const { body: started } = await portal.send(`${serving().api}/v1/consents`, { method: 'POST', token, body });
      const browser = openHeadlessBrowser({ ca: world.ca });
      const person = { username: 'alice', password, redirectUri: world.callbackUrl };
      const callback = await browser.login(String(started['consent_url']), person);
      await browser.open(callback.href, new URL(PORTAL_PAGE).origin);
      await browser.close();
      const status = await portal.send(`${serving().api}/v1/consents/${String(started['id'])}`, { token });
      expect(status.body).toMatchObject({ state: 'completed' });
      return String(status.body['grant']);
    },
    /** Makes a grant's last confirmation too old: its next use needs the provider. */
    age,
    use,
    /** A use that needs the provider. */
    async refreshed(grant: string): Promise<number> {
      await age(grant);
      return (await use(grant)).status;
    },
    /** How the refreshes of a grant stand, the oldest first. */
    attempts: async (grant: string) =>
      (
        await world.query<{ state: string }>(
          'select state from refresh_attempts where grant_id = $1 order by created_at',
          [grant],
        )
      ).map(({ state }) => state),
    close: closing.close,
  };
}
