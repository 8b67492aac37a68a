import { openBranchKeys, openLocalRootKey } from '@postern/branch-keys';
import { openAgent, watchTlsMaterial } from '@postern/mtls';
import { openProvider, type Provider } from '@postern/oidc';
import { Secret, systemNow } from '@postern/runtime';
import { developmentPassword, openHeadlessBrowser } from '@postern/testing';
import { importJWK, type CryptoKey, type JWK } from 'jose';
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'undici';
import { SERVICE_SECRETS } from '@postern/service';
import { openText, openVault } from '../src/grants/vault.ts';
import { heldKeys } from '../src/provider/service-keys.ts';
import type { Replica, World } from './world.ts';

/**
 * What a test can do beside the service, with the service's own keys: be its client at the provider, look into what it has
 * sealed, and rotate the key it seals under.
 */
export async function openProviderSide(world: World) {
  const rootKey = await openLocalRootKey({ path: world.env.POSTERN_ROOT_KEY_PATH });
  const keys = await openBranchKeys({
    query: world.query,
    rootKey,
    environment: 'development',
    service: 'auth-manager',
    now: systemNow,
  });
  const vault = openVault(keys);
  const dispatcher = new Agent({ connect: { ca: world.ca } });
  const closes: (() => unknown)[] = [() => dispatcher.close(), () => keys.close(), () => rootKey.close()];

  async function client(): Promise<Provider> {
    const provider = world.provider().issuer;
    const { signs } = await heldKeys({ db: world.db, vault, now: systemNow }, { tenant: '', provider }, 'dpop');
    const { kty, crv, x, y } = signs;
    const clientKey = JSON.parse(await readFile(world.env.POSTERN_PROVIDER_CLIENT_KEY_PATH, 'utf8')) as JWK;
    return openProvider({
      issuer: provider,
      clientId: 'auth-manager',
      authentication: { method: 'private_key_jwt', key: (await importJWK(clientKey, 'ES256')) as CryptoKey },
      dpop: {
        privateKey: (await importJWK(signs, 'ES256')) as CryptoKey,
        publicKey: (await importJWK({ kty, crv, x, y } as JWK, 'ES256', { extractable: true })) as CryptoKey,
      },
      dispatcher,
    });
  }

  return {
    /** An offline token that the person gave this very client elsewhere. */
    async offlineToken(username: string): Promise<string> {
      const provider = await client();
      const { url, state, nonce, verifier } = await provider.startAuthorization({
        redirectUri: world.callbackUrl,
        scopes: ['openid', 'offline_access'],
        parameters: { prompt: 'consent' },
      });
      const browser = openHeadlessBrowser({ ca: world.ca });
      const person = { username, password: developmentPassword(username), redirectUri: world.callbackUrl };
      const callbackUrl = await browser.login(url, person);
      await browser.close();
      const { refreshToken } = await provider.redeem({ callbackUrl, state, nonce, verifier });
      if (!refreshToken) throw new Error('the provider gave no refresh token');
      return refreshToken.reveal();
    },
    async revoke(token: string): Promise<void> {
      await (await client()).revoke(new Secret(token));
    },
    /** Whether the provider says that a refresh token of this client lives. */
    async isActive(token: Secret): Promise<boolean> {
      return (await (await client()).introspect(token, { hint: 'refresh_token' })).active;
    },
    /** The token that a grant has sealed. */
    async tokenOf(grant: string): Promise<Secret> {
      const { tenant, sealed_token } = await world.db
        .selectFrom('grants')
        .select(['tenant', 'sealed_token'])
        .where('id', '=', grant)
        .executeTakeFirstOrThrow();
      return openText(vault, { tenant, what: 'token', id: grant }, sealed_token ?? new Uint8Array());
    },
    /** Rotates the key under which a tenant's tokens are sealed. */
    async rotateKey(tenant: string): Promise<void> {
      await keys.rotate(await keys.idFor(tenant, 'grants'));
    },
    /** Rotates the key under which the service's own keys are sealed. */
    async rotateServiceKey(): Promise<void> {
      await keys.rotate(await keys.idFor(SERVICE_SECRETS.tenant, SERVICE_SECRETS.purpose));
    },
    /** Seals as the service does. */
    vault,
    /** RFC 7662 as a workload asks it over its certificate. */
    async introspect(workload: string, { api }: Replica, token: string): Promise<Record<string, unknown>> {
      const { paths } = await world.authority.issue(workload);
      const material = await watchTlsMaterial(paths);
      const agent = openAgent(material, { servername: 'localhost' });
      try {
        const { body } = await request(`${api}/introspect`, {
          dispatcher: agent,
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({ token }).toString(),
        });
        return (await body.json()) as Record<string, unknown>;
      } finally {
        await agent.close();
        await material.close();
      }
    },
    async close() {
      for (const close of closes) await close();
    },
  };
}

export type ProviderSide = Awaited<ReturnType<typeof openProviderSide>>;
