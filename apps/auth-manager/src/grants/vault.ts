import { type BranchKeys, KeysUnavailable, type Sealer, sealerFor } from '@postern/branch-keys';
import { problem, Secret } from '@postern/runtime';
import { SERVICE_SECRETS } from '@postern/service';

/** What seals this service's secrets: one sealer for a tenant's tokens, one for the service's own keys (R30). */
export type Vault = { grantsOf(tenant: string): Sealer; service: Sealer };

/** What a sealed text is, and the opaque id it belongs to: its encryption context, in clear in the message (R29). */
export type SealedText = { tenant: string; what: 'token' | 'reply' | 'flow' | 'access' | 'client-secret'; id: string };

/** A vault over the service's branch keys. */
export const openVault = (branchKeys: BranchKeys): Vault => ({
  grantsOf: (tenant) => underActive(sealerFor(branchKeys, { tenant, purpose: 'grants' })),
  service: underActive(sealerFor(branchKeys, SERVICE_SECRETS)),
});

/**
 * Seals under the version that Postgres says is active, not the one that this replica has held for minutes: so a rewrap
 * ends (R31). It costs one look, before work that takes many. Where Postgres cannot be asked, the held one serves: a
 * provider's reply must be sealed whatever happens, and is rewrapped later.
 */
const underActive = (sealer: Sealer): Sealer => ({
  ...sealer,
  async seal(plaintext, context) {
    await sealer.recheck().catch((error: unknown) => {
      if (!(error instanceof KeysUnavailable)) throw error;
    });
    return sealer.seal(plaintext, context);
  },
});

/** Seals UTF-8 text. @throws Problem `keys_unavailable`. */
export async function sealText(vault: Vault, { tenant, what, id }: SealedText, text: Secret): Promise<Buffer> {
  return reaching(vault.grantsOf(tenant).seal(Buffer.from(text.reveal()), { what, id }));
}

/**
 * Opens what {@link sealText} sealed for the same place.
 * @throws EnvelopeRefused when it was made for any other; Problem `keys_unavailable`.
 */
export async function openText(vault: Vault, { tenant, what, id }: SealedText, sealed: Uint8Array): Promise<Secret> {
  const opened = await reaching(vault.grantsOf(tenant).open(sealed, { what, id }));
  const text = new Secret(opened.toString('utf8'));
  opened.fill(0);
  return text;
}

async function reaching<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    throw cause instanceof KeysUnavailable ? problem('keys_unavailable', { retryAfterSeconds: 1, cause }) : cause;
  }
}
