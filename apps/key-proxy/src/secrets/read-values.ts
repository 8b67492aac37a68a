import { type Secret } from '@postern/runtime';
import { type OnBehalf } from '../providers/secret-provider.ts';
import { providerOf, type Providers } from '../providers/tenant-provider.ts';
import { type HeldSecret } from './list-secrets.ts';

export type OpenedSecret = HeldSecret & { value: Secret };

/** Enough to hide the round trips, few enough to leave the provider to others. */
const MOST_AT_ONCE = 8;

/**
 * The values of these secrets from where each lies, in their order. One that cannot be read fails the whole: a caller
 * never takes an answer that lacks a secret for one that has all.
 * @throws Problem of the provider port
 */
export async function readValues(
  providers: Providers,
  secrets: readonly HeldSecret[],
  by: OnBehalf,
): Promise<OpenedSecret[]> {
  const opened: OpenedSecret[] = [];
  let next = 0;
  const reader = async (): Promise<void> => {
    for (let at = next++; at < secrets.length; at = next++) {
      const secret = secrets[at];
      if (!secret) return;
      const { value } = await providerOf(providers, secret.provider).read(secret.reference, by);
      opened[at] = { ...secret, value };
    }
  };
  await Promise.all(Array.from({ length: Math.min(MOST_AT_ONCE, secrets.length) }, reader));
  return opened;
}
