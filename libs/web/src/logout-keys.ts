import type { Provider } from '@postern/oidc';
import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey } from 'jose';
import { fetch, type Dispatcher } from 'undici';

/** The provider's signing keys, read over its own dispatcher at most once in 30 seconds. */
export function logoutKeys(
  provider: () => Promise<Pick<Provider, 'metadata'>>,
  dispatcher: Dispatcher,
): JWTVerifyGetKey {
  let keys: JWTVerifyGetKey | undefined;
  return async (header, token) => {
    keys ??= createRemoteJWKSet(new URL(String((await provider()).metadata.jwks_uri)), {
      [customFetch]: ((url: string, init: object) =>
        fetch(url, { ...init, dispatcher })) as unknown as typeof globalThis.fetch,
      cooldownDuration: 30_000,
      cacheMaxAge: 600_000,
    });
    return keys(header, token);
  };
}
