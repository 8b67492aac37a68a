import { type Secret } from '@postern/runtime';
import { type SecretValue } from '../secrets/secret-value.ts';
import { type ProviderKind } from './provider-kind.ts';

/**
 * On whose behalf a provider is called: the caller's own verified token, which is exchanged (R5), never passed on; or a token
 * that was exchanged already, in a job that goes on for them.
 */
export type OnBehalf = { subjectToken: Secret } | { token: Secret };

/**
 * One call. `by` is null where this service acts by itself (the worker): then only providers that are reached with a
 * tenant's own credentials answer. `signal` ends the call at its deadline.
 */
export type Call = { by: OnBehalf | null; signal: AbortSignal };

/** A provider's own name of a version: opaque to us. */
export type ProviderVersion = string;

export type Written = { version: ProviderVersion };
export type Read = { value: SecretValue; version: ProviderVersion };
export type Tags = Readonly<Record<string, string>>;

export type Description = {
  /** `half_deleted`: a deletion or a recovery of several calls that did not come to its end; done again it does. */
  state: 'live' | 'half_deleted' | 'deleted';
  /** The version that a read without one gives. */
  current: ProviderVersion | null;
  versions: readonly { version: ProviderVersion; state: 'enabled' | 'disabled' | 'destroyed' }[];
  tags: Tags;
};

/**
 * A place that keeps values, at one tenant's configuration of it: one implementation a kind, one contract for all
 * (`test/contract`). What a kind cannot do natively it refuses with `provider_unsupported`; `capabilities.ts` says who
 * can do what, and what this service emulates.
 *
 * Whatever goes wrong is a Problem of one list, whichever provider it is:
 * - `provider_unreachable`: no answer before the deadline, or a 5xx; `provider_throttled`: it wants fewer calls (both may be
 *   tried again, after `retryAfterSeconds`);
 * - `provider_forbidden`: policy or the provider refuses; `provider_credentials_refused`: it does not take the credentials;
 * - `invalid_token`: the caller's own token ended before it was exchanged;
 * - `provider_failed`: an answer that is none of its contract;
 * - `secret_missing`, `version_missing`, `secret_disabled`: nothing under the reference or version, or not readable now;
 * - `version_conflict`: another version is current; `reference_taken`: something else lies under the reference;
 * - `value_too_large`: more than the provider takes.
 */
export type SecretProvider = {
  readonly kind: ProviderKind;
  /**
   * Writes the first version under a reference that we chose. `attempt` (a UUID) names the write: doing it again under the
   * same attempt leaves the same state, where the provider can tell.
   */
  create(reference: string, value: SecretValue, write: { attempt: string; tags: Tags }, call: Call): Promise<Written>;
  /** Writes the next version. With `ifVersion` only where that one is current. @throws Problem `version_conflict` */
  put(
    reference: string,
    value: SecretValue,
    write: { attempt: string; ifVersion?: ProviderVersion },
    call: Call,
  ): Promise<Written>;
  /** A version, the current one where null. */
  read(reference: string, version: ProviderVersion | null, call: Call): Promise<Read>;
  /** The current versions of several, in as few calls as the provider has for that; what is missing or failed has its Problem. */
  readMany?(references: readonly string[], call: Call): Promise<ReadonlyMap<string, Read | Error>>;
  /** References that begin with `prefix`, in pages. */
  list(
    page: { prefix: string; after: string | null; limit: number },
    call: Call,
  ): Promise<{ references: string[]; next: string | null }>;
  describe(reference: string, call: Call): Promise<Description>;
  /** Replaces the tags. */
  tag(reference: string, tags: Tags, call: Call): Promise<void>;
  /** A version cannot be read until it is enabled again. */
  disable(reference: string, version: ProviderVersion, call: Call): Promise<void>;
  enable(reference: string, version: ProviderVersion, call: Call): Promise<void>;
  /** So that it can be recovered for a time. */
  delete(reference: string, call: Call): Promise<void>;
  recover(reference: string, call: Call): Promise<void>;
  /** For good, with all its versions. Nothing there is fine. */
  destroy(reference: string, call: Call): Promise<void>;
  /** A read-only call that shows whether credentials and address are good. */
  check(call: Call): Promise<void>;
  close(): Promise<void>;
};
