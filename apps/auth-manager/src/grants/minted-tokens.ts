import { setTimeout as sleep } from 'node:timers/promises';
import type { Introspection, Issuer, Minted } from '@postern/issuer';
import type { Principal } from '@postern/oidc';
import { type Now, problem } from '@postern/runtime';
import type { UsableGrant } from './find-handle.ts';
import { grantTokenClaims } from './grant-token-claims.ts';

/** Grant tokens that were minted a moment ago, given again while more than half of their life is left and nothing revokes them. */
export type MintedTokens = {
  /** @throws Problem `grant_busy` where what is minted now is revoked already, and stays so for longer than is waited for */
  grantToken(usable: UsableGrant, scopes: readonly string[], thumbprint: string): Promise<Minted>;
};

export type OpenMintedTokens = {
  issuer: Pick<Issuer, 'mint'>;
  introspection: Pick<Introspection, 'living'>;
  /** What this replica has heard of revocations, here and elsewhere. */
  revocations: { stateOf(principal: Principal): string | Promise<string> };
  tokenLifetimeSeconds: number;
  now: Now;
};

type Held = { minted: Minted; principal: Principal };

const HELD = 20_000;

/** What ends a grant revokes what was minted up to two seconds later (`revoke-tokens.ts`): so many whole seconds are waited for. */
const MINTS = 4;

/**
 * Signing is the dearest part of a use, and a job asks again and again. What is held was minted from this very consent
 * (`family`) and handle for this very certificate; each use is recorded and proven all the same (R32). R14: what is given is
 * refused by nobody for a revocation that is older than it. ADR 81.
 */
export function openMintedTokens(deps: OpenMintedTokens): MintedTokens {
  const { issuer, introspection, revocations, tokenLifetimeSeconds, now } = deps;
  const held = new Map<string, Held>();
  const halfMs = (tokenLifetimeSeconds * 1000) / 2;
  /** What is left of a handle, which its tokens do not outlive. */
  const secondsOf = (end: Date | null) =>
    end === null ? Infinity : Math.max(1, Math.floor((end.getTime() - now().getTime()) / 1000));
  const isGood = async ({ minted, principal }: Held) =>
    minted.expiresAt.getTime() - now().getTime() > halfMs && (await revocations.stateOf(principal)) !== 'revoked';

  async function mint({ grant, handle }: UsableGrant, scopes: readonly string[], thumbprint: string): Promise<Held> {
    for (let mints = 1; mints <= MINTS; mints++) {
      const minted = await issuer.mint('grant+jwt', grantTokenClaims(grant, handle, scopes), {
        lifetimeSeconds: Math.min(tokenLifetimeSeconds, secondsOf(handle.expires_at)),
        binding: { kind: 'certificate', thumbprint },
      });
      const principal = await introspection.living(minted.token);
      if (principal !== null) return { minted, principal };
      // A revocation names whole seconds, and so does a token: the next one is another.
      if (mints < MINTS) await sleep(1_000 - (now().getTime() % 1_000));
    }
    throw problem('grant_busy', { retryAfterSeconds: 1 });
  }

  return {
    async grantToken(usable, scopes, thumbprint) {
      const key = [usable.handle.id, usable.grant.family, thumbprint, ...scopes].join(' ');
      const before = held.get(key);
      if (before && (await isGood(before))) return before.minted;
      const made = await mint(usable, scopes, thumbprint);
      held.delete(key);
      held.set(key, made);
      const [oldest] = held.keys();
      if (held.size > HELD && oldest !== undefined) held.delete(oldest);
      return made.minted;
    },
  };
}
