import { type Provider, ProviderFailed } from '@postern/oidc';
import type { Logger, Now } from '@postern/runtime';
import type { ClientIdentity } from './client-identity.ts';

export type HoldProvider = {
  identity: () => Promise<ClientIdentity>;
  /** Reads the metadata. @throws ProviderFailed */
  open: (identity: ClientIdentity) => Promise<Provider>;
  logger: Logger;
  now: Now;
};

/** Metadata that are older are read again before the next call. */
const REREAD_MS = 300_000;
/** A provider that refuses our proof has its clock compared anew, unless that was done so lately. */
const COMPARED_MS = 10_000;

/** What it refuses a proof with: of the client (RFC 6749, 5.2), or of the key (RFC 9449, 5; Keycloak's `invalid_request`). */
const ofProofs = new Set(['invalid_client', 'unauthorized_client', 'invalid_dpop_proof', 'invalid_request']);

export type HeldProvider = {
  /** @throws ProviderFailed where the metadata cannot be had, or name another issuer */
  get(): Promise<Provider>;
  /** What a call failed with: where that may be for the clocks, they are compared before the next call. */
  failed(error: unknown): void;
};

/**
 * A provider as its metadata describe it. They are read at the first call, and again until that succeeds, so that this service
 * starts without it; then every five minutes, and when we have become somebody else there. While they cannot be had again, what
 * they said last counts. A provider that has come to call itself by another name is sent nothing until it no longer does.
 */
export function holdProvider({ identity, open, logger, now }: HoldProvider): HeldProvider {
  type Reading = { generation: string; provider: Promise<Provider>; at: number };
  let held: Reading | undefined;

  async function read(by: ClientIdentity, before: Provider | undefined): Promise<Provider> {
    try {
      const provider = await open(by);
      const { clockOffsetSeconds } = provider;
      if (clockOffsetSeconds !== 0) {
        logger.warn({ operation: 'discover', clockOffsetSeconds }, "the provider's clock is not ours");
      }
      return provider;
    } catch (error) {
      const reason = error instanceof ProviderFailed ? error.kind : 'unknown';
      const code = error instanceof ProviderFailed ? error.error : undefined;
      logger.warn({ operation: 'discover', reason, code }, "the provider's metadata could not be read");
      if (before !== undefined && code !== 'unfit_metadata') return before;
      throw error;
    }
  }

  return {
    async get() {
      const by = await identity();
      const same = held?.generation === by.generation ? held : undefined;
      // A clock that was put back makes them old as well.
      if (same && Math.abs(now().getTime() - same.at) < REREAD_MS) return same.provider;
      const before = await same?.provider.catch(() => undefined);
      // Somebody else may have begun meanwhile.
      if (held !== same && held?.generation === by.generation) return held.provider;
      const reading: Reading = { generation: by.generation, provider: read(by, before), at: now().getTime() };
      held = reading;
      reading.provider.catch(() => {
        if (held === reading) held = undefined;
      });
      return reading.provider;
    },
    failed(error) {
      if (!(error instanceof ProviderFailed) || error.kind !== 'refused' || !ofProofs.has(error.error ?? '')) return;
      if (held && now().getTime() - held.at > COMPARED_MS) held.at = -Infinity;
    },
  };
}
