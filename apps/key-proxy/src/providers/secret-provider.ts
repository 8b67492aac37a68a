import { type Secret } from '@postern/runtime';
import { type ProviderKind } from './provider-kind.ts';

/** On whose behalf a provider is called: the caller's own verified token, which is exchanged (R5), never passed on. */
export type OnBehalf = { subjectToken: Secret };

/**
 * A place that keeps values: one implementation a kind, one contract for all.
 *
 * Both fail with `provider_unreachable` (no answer, try again), `provider_forbidden` (policy or the provider refuses this
 * caller) or `provider_failed` (an answer that is none of its contract).
 */
export type SecretProvider = {
  readonly kind: ProviderKind;
  /** Writes a value under a reference that we chose. Doing so again leaves the same state: an attempt may be repeated. */
  write(reference: string, value: Secret, by: OnBehalf): Promise<{ version: string }>;
  /** @throws Problem also `secret_missing`, when the provider has nothing under the reference. */
  read(reference: string, by: OnBehalf): Promise<{ value: Secret }>;
};
