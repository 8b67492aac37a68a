/** Where secrets may lie: the seed's three clouds, Postern's own store, and OpenBao or Vault (KV v2). */
export const providerKinds = ['crypto-store', 'aws', 'azure', 'gcp', 'openbao'] as const;
export type ProviderKind = (typeof providerKinds)[number];

/** A tenant that has configured nothing keeps its secrets here. */
export const DEFAULT_PROVIDER: ProviderKind = 'crypto-store';
