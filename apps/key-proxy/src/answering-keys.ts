import { type BranchKeys, KeysUnavailable } from '@postern/branch-keys';
import { problem } from '@postern/runtime';

const TRY_AGAIN_SECONDS = 1;

/**
 * Branch keys of which a caller is told as of any part that does not answer: whatever is sealed, opened or signed under one while the root
 * key is away rejects with Problem `keys_unavailable`, on every way to it.
 */
export const answeringKeys = (keys: BranchKeys): BranchKeys => ({
  ...keys,
  idFor: (tenant, purpose) => told(keys.idFor(tenant, purpose)),
  find: (tenant, purpose) => told(keys.find(tenant, purpose)),
  withActive: (id, use) => told(keys.withActive(id, use)),
  withVersion: (id, version, use) => told(keys.withVersion(id, version, use)),
  withMacKey: (id, name, use) => told(keys.withMacKey(id, name, use)),
});

async function told<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (cause) {
    if (!(cause instanceof KeysUnavailable)) throw cause;
    throw problem('keys_unavailable', { cause, retryAfterSeconds: TRY_AGAIN_SECONDS });
  }
}
