import { openProvider, type Provider } from '@postern/oidc';
import type { Dispatcher } from 'undici';

/**
 * The identity provider, read at first use and kept: a provider that is down stops nothing that is minted here.
 * @returns undefined where none is configured
 */
export function openProviderOnce({
  issuer,
  clientId,
  dispatcher,
}: {
  issuer: string | undefined;
  clientId: string;
  /** Carries the client certificate (`tls_client_auth`). */
  dispatcher: Dispatcher;
}): (() => Promise<Provider>) | undefined {
  if (issuer === undefined) return undefined;
  let opening: Promise<Provider> | undefined;
  return () => {
    opening ??= openProvider({
      issuer,
      clientId,
      authentication: { method: 'tls_client_auth' },
      dispatcher,
    }).catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };
}
