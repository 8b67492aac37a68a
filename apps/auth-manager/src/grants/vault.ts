import { type BranchKeys, type Sealer, sealerFor } from '@postern/branch-keys';
import { Secret } from '@postern/runtime';

/** What seals this service's secrets: one sealer for a tenant's tokens, one for the service's own keys (R30). */
export type Vault = { grantsOf(tenant: string): Sealer; service: Sealer };

/** What a sealed text is, and the opaque id it belongs to: its encryption context, in clear in the message (R29). */
export type SealedText = { tenant: string; what: 'token' | 'reply' | 'flow'; id: string };

/** A vault over the service's branch keys. */
export const openVault = (branchKeys: BranchKeys): Vault => ({
  grantsOf: (tenant) => sealerFor(branchKeys, { tenant, purpose: 'grants' }),
  // No tenant's: its keys outlive every one of them.
  service: sealerFor(branchKeys, { tenant: 'postern', purpose: 'service-secrets' }),
});

/** Seals UTF-8 text. @throws KeysUnavailable when the keys cannot be reached. */
export async function sealText(vault: Vault, { tenant, what, id }: SealedText, text: Secret): Promise<Buffer> {
  return vault.grantsOf(tenant).seal(Buffer.from(text.reveal()), { what, id });
}

/** Opens what {@link sealText} sealed for the same place. @throws EnvelopeRefused when it was made for any other. */
export async function openText(vault: Vault, { tenant, what, id }: SealedText, sealed: Uint8Array): Promise<Secret> {
  const opened = await vault.grantsOf(tenant).open(sealed, { what, id });
  const text = new Secret(opened.toString('utf8'));
  opened.fill(0);
  return text;
}
