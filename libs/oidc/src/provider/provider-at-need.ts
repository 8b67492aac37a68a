import { openProvider, type Provider, type ProviderSpec } from './open-provider.ts';

/**
 * The provider, opened at the first need and kept; where that fails, the next need tries again, so that a provider that is
 * away at the start keeps no service from starting.
 */
export function providerAtNeed(spec: ProviderSpec): () => Promise<Provider> {
  let opened: Promise<Provider> | undefined;
  return () => {
    opened ??= openProvider(spec).catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
}
