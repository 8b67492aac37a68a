import { type OnBehalf } from '../../providers/secret-provider.ts';
import { type HeldSecret } from '../held-secret.ts';
import { type Asked, readSecret, type ReadSecret, type SecretRead } from '../read-secret.ts';
import { type KnownSecrets } from './known-secrets.ts';

export type ReadKnown = ReadSecret & { known: KnownSecrets };

/**
 * Reads a secret from where it is remembered to lie. What fails there may have been moved, deleted or destroyed meanwhile: then
 * it is looked up, and read again where it lies now.
 *
 * @param fresh past everything that is remembered: what was read proved stale (R32)
 * @throws Problem `secret_not_found`, and those of {@link readSecret}
 */
export async function readKnown(
  deps: ReadKnown,
  { key, reach, asked, by }: { key: string; reach: () => Promise<HeldSecret>; asked: Asked; by: OnBehalf },
  { fresh }: { fresh: boolean },
): Promise<SecretRead> {
  const remembered = await deps.known.find(key, reach, { fresh });
  try {
    return await readSecret(deps, remembered, asked, by, { fresh });
  } catch (error) {
    if (fresh) throw error;
    const found = await deps.known.find(key, reach, { fresh: true });
    if (found.generation === remembered.generation && found.id === remembered.id) throw error;
    return readSecret(deps, found, asked, by, { fresh: true });
  }
}
