import { createHmac } from 'node:crypto';
import {
  BranchKeyUnknown,
  createEnvelope,
  EnvelopeRefused,
  PURPOSE,
  type EncryptionContext,
  type MessageStream,
} from '@postern/envelope';
import { keptMac } from './kept-macs.ts';
import { type BranchKeys } from './open-branch-keys.ts';

/** Seals and opens for one tenant and purpose. All reject with `EnvelopeRefused`, or `KeysUnavailable`. */
export type Sealer = {
  seal(plaintext: Uint8Array, context: EncryptionContext): Promise<Buffer>;
  open(message: Uint8Array, context: EncryptionContext): Promise<Buffer>;
  /** The same of any length, one frame in memory (`Envelope.sealStream`, `Envelope.openStream`). */
  sealStream(plaintext: AsyncIterable<Uint8Array>, context: EncryptionContext): Promise<MessageStream>;
  openStream(message: AsyncIterable<Uint8Array>, context: EncryptionContext): Promise<MessageStream>;
  /**
   * HMAC-SHA-256 (32 bytes) under a key of this tenant, purpose and name, derived from the beacon key (R30): to find or
   * to bind a value without showing it. Stays the same when the branch key rotates.
   */
  mac(name: string, value: Uint8Array): Promise<Buffer>;
  /** The same of a text that is asked for again and again and is no secret of a caller: kept as long as the key is. */
  keptMac(name: string, text: string): Promise<Buffer>;
  /** Reads the key's states again after a guard refused (`BranchKeys.recheck`). */
  recheck(): Promise<void>;
};

/** Context keys that only this library sets. */
const RESERVED_PREFIX = 'postern:';

const MOST_SEALERS = 1_000;

/**
 * A sealer under the tenant's branch key for that purpose, with `postern:purpose` set by us in every message (R30): a
 * message of one purpose opens under no other, even if the keys were mixed up.
 * `context` holds opaque random ids and counters, never names: it stands in the message in clear (R29).
 */
export function sealerFor(keys: BranchKeys, { tenant, purpose }: { tenant: string; purpose: string }): Sealer {
  const envelope = createEnvelope(keys);
  let known: string | undefined;
  const find = async () => (known = await refusingUnknown(keys.idFor(tenant, purpose)));
  // An id never changes: who keeps a sealer asks for it once.
  const branchKeyId = (): string | Promise<string> => known ?? find();
  const at = async (context: EncryptionContext) => {
    if (Object.keys(context).some((key) => key.startsWith(RESERVED_PREFIX))) {
      throw new TypeError(`context keys that begin with ${RESERVED_PREFIX} are set by the sealer`);
    }
    return { branchKeyId: await branchKeyId(), context: { ...context, [PURPOSE]: purpose } };
  };
  return {
    seal: async (plaintext, context) => envelope.seal(plaintext, await at(context)),
    open: async (message, context) => envelope.open(message, await at(context)),
    sealStream: async (plaintext, context) => envelope.sealStream(plaintext, await at(context)),
    openStream: async (message, context) => envelope.openStream(message, await at(context)),
    mac: async (name, value) =>
      refusingUnknown(
        keys.withMacKey(await branchKeyId(), name, (key) => createHmac('sha256', key).update(value).digest()),
      ),
    keptMac: async (name, text) =>
      refusingUnknown(keys.withMacKey(await branchKeyId(), name, (key) => keptMac(key, text))),
    recheck: async () => keys.recheck(await branchKeyId()),
  };
}

async function refusingUnknown<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    throw error instanceof BranchKeyUnknown ? new EnvelopeRefused('branch_key') : error;
  }
}

/** Sealers of one purpose, kept by tenant: most of what a sealer is made of is the same for each of a tenant's requests. */
export function sealersFor(keys: BranchKeys, purpose: string): (tenant: string) => Sealer {
  const sealers = new Map<string, Sealer>();
  return (tenant) => {
    const kept = sealers.get(tenant);
    if (kept !== undefined) return kept;
    if (sealers.size >= MOST_SEALERS) sealers.clear();
    const sealer = sealerFor(keys, { tenant, purpose });
    sealers.set(tenant, sealer);
    return sealer;
  };
}
