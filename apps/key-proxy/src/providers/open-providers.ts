import { type Problem, problem } from '@postern/runtime';
import { type Call, type OnBehalf, type SecretProvider } from './secret-provider.ts';
import { type ProviderKind } from './provider-kind.ts';

/** Where a secret lies: a tenant's configuration of a provider; null: the embedded crypto-store. */
export type Place = { tenant: string; kind: ProviderKind; configuration: string | null };

export type Providers = {
  /** What this deployment can reach. */
  readonly kinds: readonly ProviderKind[];
  /** @throws Problem `provider_unavailable` where the configuration is gone or the kind cannot be reached here */
  at(place: Place): Promise<SecretProvider>;
  /** One call within the deployment's time for calls to providers. */
  call(by: OnBehalf | null): Call;
};

/** @throws Problem `provider_unavailable` when this deployment cannot reach that kind of provider. */
export function assertReachable({ kinds }: Pick<Providers, 'kinds'>, kind: ProviderKind): void {
  if (!kinds.includes(kind)) throw unavailable(kind, kinds);
}

export const unavailable = (kind: ProviderKind, kinds: readonly ProviderKind[]): Problem =>
  problem('provider_unavailable', { detail: `${kind} cannot be used in this deployment; ${kinds.join(', ')} can` });
