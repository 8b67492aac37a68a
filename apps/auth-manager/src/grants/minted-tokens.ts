import type { Issuer, Minted } from '@postern/issuer';
import type { Now } from '@postern/runtime';
import type { UsableGrant } from './find-handle.ts';
import { grantTokenClaims } from './grant-token-claims.ts';

/** Grant tokens that were minted a moment ago, given again while more than half of their life is left. */
export type MintedTokens = {
  grantToken(usable: UsableGrant, scopes: readonly string[], thumbprint: string): Promise<Minted>;
};

export type OpenMintedTokens = { issuer: Pick<Issuer, 'mint'>; tokenLifetimeSeconds: number; now: Now };

const HELD = 20_000;

/**
 * Signing is the dearest part of a use, and a job asks again and again. What is held was minted from this very consent
 * (`family`) and handle for this very certificate; each use is recorded and proven all the same (R32).
 */
export function openMintedTokens({ issuer, tokenLifetimeSeconds, now }: OpenMintedTokens): MintedTokens {
  const held = new Map<string, Minted>();
  const halfMs = (tokenLifetimeSeconds * 1000) / 2;
  /** What is left of a handle, which its tokens do not outlive. */
  const secondsOf = (end: Date | null) =>
    end === null ? Infinity : Math.max(1, Math.floor((end.getTime() - now().getTime()) / 1000));
  return {
    async grantToken({ grant, handle }, scopes, thumbprint) {
      const key = [handle.id, grant.family, thumbprint, ...scopes].join(' ');
      const before = held.get(key);
      if (before && before.expiresAt.getTime() - now().getTime() > halfMs) return before;
      const minted = await issuer.mint('grant+jwt', grantTokenClaims(grant, handle, scopes), {
        lifetimeSeconds: Math.min(tokenLifetimeSeconds, secondsOf(handle.expires_at)),
        binding: { kind: 'certificate', thumbprint },
      });
      held.delete(key);
      held.set(key, minted);
      const [oldest] = held.keys();
      if (held.size > HELD && oldest !== undefined) held.delete(oldest);
      return minted;
    },
  };
}
