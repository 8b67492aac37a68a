import { callersPairs, envelopeOver, EnvelopeRefused, PURPOSE } from '@postern/envelope';
import { type CallService } from './call-service.ts';
import { type DataKeyOptions, type LocallyAt, serviceDataKeys } from './data-keys.ts';
import { PosternError } from './errors.ts';
import { type CallAs } from './options.ts';
import { type SealedFor } from './transit.ts';

/**
 * Sealing and opening in this process, with data keys of crypto-store: only keys go over the wire, not the data. The
 * messages are those of the AWS Encryption SDK, as the service's own. A use of a key that is still in memory is not in
 * the log.
 */
export type LocalEnvelope = {
  /** Scope `data-keys:create`. */
  seal(plaintext: Uint8Array, as: CallAs, sealed?: SealedFor): Promise<Uint8Array>;
  /** Scope `data-keys:decrypt`. @throws PosternError `ciphertext_refused` whatever is wrong with the message */
  open(message: Uint8Array, as: CallAs, sealed?: SealedFor): Promise<Uint8Array>;
  /** Of any length, 64 KiB in memory. */
  sealStream(plaintext: AsyncIterable<Uint8Array>, as: CallAs, sealed?: SealedFor): Promise<AsyncIterable<Uint8Array>>;
  /** What it gives is whole only when it has ended; where it throws, throw away what came before. */
  openStream(message: AsyncIterable<Uint8Array>, as: CallAs, sealed?: SealedFor): Promise<AsyncIterable<Uint8Array>>;
};

const at = (as: CallAs, { context: pairs = {} }: SealedFor = {}): LocallyAt => {
  try {
    return { pairs, as, context: { ...callersPairs(pairs), [PURPOSE]: 'data-keys' } };
  } catch {
    throw new PosternError('crypto-store', 'invalid_input', { detail: 'a context key is empty or reserved' });
  }
};

export function createLocalEnvelope(call: CallService, options: DataKeyOptions): LocalEnvelope & { clear(): void } {
  const dataKeys = serviceDataKeys(call, options);
  const envelope = envelopeOver(dataKeys);
  return {
    seal: async (plaintext, as, sealed) => envelope.seal(plaintext, at(as, sealed)),
    open: (message, as, sealed) => refusing(async () => envelope.open(message, at(as, sealed))),
    sealStream: async (plaintext, as, sealed) => (await envelope.sealStream(plaintext, at(as, sealed))).pieces,
    async openStream(message, as, sealed) {
      const { pieces } = await refusing(() => envelope.openStream(message, at(as, sealed)));
      return (async function* verified() {
        try {
          yield* pieces;
        } catch (error) {
          throw refusedAs(error);
        }
      })();
    },
    clear: dataKeys.clear,
  };
}

async function refusing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw refusedAs(error);
  }
}

/** Outside all that may be wrong with a message looks as the service's own refusal. */
const refusedAs = (error: unknown): unknown =>
  error instanceof EnvelopeRefused ? new PosternError('crypto-store', 'ciphertext_refused') : error;
