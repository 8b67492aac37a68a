import { type BranchKeys, sealerFor } from '@postern/branch-keys';
import { Secret } from '@postern/runtime';
import { type OnBehalf } from './secret-provider.ts';

type RecordScope = 'records:read' | 'records:write';

export type StoreTokens = {
  /** A caller's token exchanged for one that crypto-store takes (R5). @throws Problem of the provider port */
  storeToken: (subjectToken: Secret, scopes: readonly RecordScope[]) => Promise<Secret>;
};

/** What a token is kept for, and under which tenant's key. */
type For = { tenant: string; purpose: 'move-tokens' | 'write-tokens' };

/**
 * A caller's token for crypto-store, kept for a job or the worker, which have no caller of their own (R5): bound to this
 * workload's certificate, and good for no longer than the caller could have asked themselves.
 */
export const sealToken = (branchKeys: BranchKeys, of: For, token: Secret): Promise<Buffer> =>
  sealerFor(branchKeys, of).seal(Buffer.from(token.reveal()), {});

export async function openToken(branchKeys: BranchKeys, of: For, sealed: Buffer): Promise<OnBehalf> {
  return { token: new Secret((await sealerFor(branchKeys, of).open(sealed, {})).toString()) };
}
