import { type BranchKeys } from '@postern/branch-keys';
import { reaching } from '../records/reaching.ts';

/** Reads the states of a tenant's key anew, after a guard refused what was taken from memory. */
export async function recheckKeys({ keys }: { keys: BranchKeys }, tenant: string, purpose: string): Promise<void> {
  await reaching(keys.idFor(tenant, purpose).then(keys.recheck), 'ciphertext_refused');
}
