import { type ProviderKind } from './provider-kind.ts';

export const operations = [
  'create',
  'read',
  'read_version',
  'put',
  'compare_and_set',
  'list',
  'describe',
  'tag',
  'disable',
  'enable',
  'delete',
  'recover',
  'destroy',
  'batch_read',
  'repeat_safely',
  'binary',
] as const;
export type Operation = (typeof operations)[number];

/**
 * `native`: the provider does it. `emulated`: this service makes it of what the provider has, and the effect holds for
 * whoever reads through this service. `unsupported`: refused before the call.
 */
export type Support = 'native' | 'emulated' | 'unsupported';
export type Capabilities = Readonly<Record<Operation, Support>>;

const everything: Capabilities = {
  create: 'native',
  read: 'native',
  read_version: 'native',
  put: 'native',
  compare_and_set: 'native',
  list: 'native',
  describe: 'native',
  tag: 'native',
  disable: 'native',
  enable: 'native',
  delete: 'native',
  recover: 'native',
  destroy: 'native',
  batch_read: 'native',
  repeat_safely: 'native',
  binary: 'native',
};

/** Who can do what; held by the contract suite, which prints it into the README. */
export const capabilities: Readonly<Record<ProviderKind, Capabilities>> = {
  // A record has tags only as part of a version, and its states are its versions'.
  'crypto-store': { ...everything, tag: 'emulated', disable: 'emulated', enable: 'emulated' },
  // No secret or version can be disabled. Compare-and-set is two calls: a version without a label, then the label moved
  // from the expected version only.
  aws: { ...everything, compare_and_set: 'emulated', disable: 'emulated', enable: 'emulated' },
  // Versions have no order that could be compared, text only, and a write has no name to be repeated under.
  azure: {
    ...everything,
    compare_and_set: 'emulated',
    batch_read: 'emulated',
    repeat_safely: 'emulated',
    binary: 'emulated',
  },
  // No recovery of a deleted secret: soft deletion is this service's own, by disabling all versions.
  gcp: {
    ...everything,
    compare_and_set: 'emulated',
    delete: 'emulated',
    recover: 'emulated',
    batch_read: 'emulated',
    repeat_safely: 'emulated',
  },
  openbao: {
    ...everything,
    disable: 'emulated',
    enable: 'emulated',
    batch_read: 'emulated',
    binary: 'emulated',
  },
};

/** Whether a change is a state or a note of this service alone, of which the provider learns nothing. */
export const isKeptHere = (kind: ProviderKind, operation: 'tag' | 'disable' | 'enable'): boolean =>
  capabilities[kind][operation] === 'emulated';

export type Limits = {
  /** Longest value in bytes; of bytes where they are sent as base64, a quarter less. */
  valueBytes: number;
  binaryBytes: number;
  /** Longest name at the provider, in characters. */
  referenceCharacters: number;
  tags: number;
  /** Versions that it keeps; null where it says none. */
  versions: number | null;
  /** How long a deleted secret can be recovered, in days. */
  recoveryDays: number | null;
};

/**
 * What each provider takes, told before the call. AWS: Secrets Manager User Guide, "Quotas"; Google: Secret Manager,
 * "Quotas and limits"; Azure: Key Vault REST API, "Set Secret" and "About secrets"; OpenBao: "KV v2" and `max_request_size`;
 * all no more than what a request here may carry.
 */
export const limits: Readonly<Record<ProviderKind, Limits>> = {
  'crypto-store': {
    valueBytes: 65_536,
    binaryBytes: 65_536,
    referenceCharacters: 512,
    tags: 16,
    versions: 10,
    recoveryDays: 30,
  },
  aws: {
    valueBytes: 65_536,
    binaryBytes: 65_536,
    referenceCharacters: 512,
    tags: 50,
    versions: 100,
    recoveryDays: 30,
  },
  azure: {
    valueBytes: 25_600,
    binaryBytes: 19_200,
    referenceCharacters: 127,
    tags: 15,
    versions: null,
    recoveryDays: 90,
  },
  gcp: {
    valueBytes: 65_536,
    binaryBytes: 65_536,
    referenceCharacters: 255,
    tags: 64,
    versions: null,
    recoveryDays: null,
  },
  openbao: {
    valueBytes: 65_536,
    binaryBytes: 65_536,
    referenceCharacters: 255,
    tags: 64,
    versions: 10,
    recoveryDays: null,
  },
};
