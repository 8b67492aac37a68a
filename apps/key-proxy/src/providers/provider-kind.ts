/** Where secrets may lie: the seed's three clouds, and Postern's own store. */
export const providerKinds = ['crypto-store', 'aws', 'azure', 'gcp'] as const;
export type ProviderKind = (typeof providerKinds)[number];

/** A tenant that has configured nothing keeps its secrets here. */
export const DEFAULT_PROVIDER: ProviderKind = 'crypto-store';
